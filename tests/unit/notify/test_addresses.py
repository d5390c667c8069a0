import pytest

from tapewatch.notify._post import judge


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254", "fe80::1%eth0", "168.63.129.16", "100.100.100.200", "fd00:ec2::254",
        "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "::169.254.169.254", "0.0.0.0",
        "224.0.0.1", "ff02::1", "::",
    ],
)  # fmt: skip
def test_metadata_and_what_is_no_server_are_refused_always(address):
    assert judge(address, allow_private=True)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd00::1",
        "::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::1", "::127.0.0.1",
        "::ffff:0:127.0.0.1", "64:ff9b:1::808:808", "192.0.2.1", "198.18.0.1",
    ],
)  # fmt: skip
def test_what_points_inside_is_refused_unless_it_is_allowed(address):
    assert "points inside" in judge(address, allow_private=False)
    assert not judge(address, allow_private=True)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_the_open_internet_is_free(address):
    assert not judge(address, allow_private=False)
