"""Mail to a real server: TLS, passwords, and the ways in which a server says no."""

import asyncio

import pytest

from tapewatch.model.errors import Rejected, Unavailable
from tapewatch.model.secret import Secret
from tapewatch.notify.email import Email, EmailConfig
from tests.integration.mail import PASSWORD, USER, MailServer
from tests.notices import ETH, alert, course, notice


def config(server, **more):
    fields = {
        "smtp_host": "localhost", "smtp_port": server.port, "from_addr": "watch@example.com",
        "to_addrs": ("a@example.com", "b@example.com"), "ca_file": server.ca_file,
        "security": "starttls", "send_secs": 20.0,
    }  # fmt: skip
    return EmailConfig(**(fields | more))


def channel(server, **more):
    return Email("mail", config(server, **more))


@pytest.mark.parametrize("security", ["tls", "starttls"])
async def test_a_mail_comes_over_tls_with_a_password(tmp_path, security):
    async with MailServer(tmp_path, security=security, auth=security == "starttls") as server:
        secret = {"username": USER, "password": Secret(PASSWORD)} if server._auth else {}
        said = await channel(server, security=security, **secret).send(
            notice(alert(), alert(inst=ETH, severity="critical"), courses=(course(),))
        )
    assert "250" in said or "taken" in said
    ((receivers, mail),) = server.postman.mails
    assert receivers == ("a@example.com", "b@example.com")
    assert mail["Subject"] == "2 symbols: surge"
    assert mail["Message-ID"].endswith("@example.com>")
    text = mail.get_body(("plain",)).get_content()
    assert "FIRING BTC/USDT on binance: 5.2 times the usual volume" in text
    assert "5.2 over 5m, limit 4, usual 1" in text
    assert "trade 4711 sell 3.2 @ 61837.63" in text
    assert "▁" in text
    page = mail.get_body(("html",)).get_content()
    assert 'src="cid:chart0@tapewatch"' in page
    (image,) = [part for part in mail.walk() if part.get_content_type() == "image/png"]
    assert image["Content-ID"] == "<chart0@tapewatch>"
    assert image.get_content().startswith(b"\x89PNG")


async def test_what_stands_in_an_alert_is_text_in_the_page_and_one_line_in_the_subject(tmp_path):
    async with MailServer(tmp_path) as server:
        nasty = alert(rule="a\r\nBcc: x@evil", text="<script>alert(1)</script>")
        names = {"from_addr": "Wächter <w@example.com>", "to_addrs": ("Ops <ops@example.com>",)}
        await channel(server, **names).send(notice(nasty))
    ((receivers, mail),) = server.postman.mails
    assert receivers == ("ops@example.com",)
    assert mail["From"] == "Wächter <w@example.com>"
    assert mail["Bcc"] is None
    assert "<script>" not in mail.get_body(("html",)).get_content()


async def test_a_wrong_password_is_tried_again_later_and_stands_in_no_error(tmp_path):
    async with MailServer(tmp_path, auth=True) as server:
        mine = channel(server, username=USER, password=Secret("falsch-0815"))
        with pytest.raises(Unavailable) as caught:
            await mine.send(notice())
    assert server.passwords == ["falsch-0815"] * 2  # AUTH PLAIN and AUTH LOGIN
    assert "535" in caught.value.reason
    assert caught.value.retry_after == 300
    assert "falsch" not in str(caught.value)


async def test_a_grey_list_is_no_refusal(tmp_path):
    async with MailServer(tmp_path) as server:
        server.postman.moods = ["451 4.7.1 greylisted, try again"]
        with pytest.raises(Unavailable, match="451"):
            await channel(server).send(notice())
        await channel(server).send(notice())
    assert len(server.postman.mails) == 1


async def test_a_mail_that_the_server_will_never_take_is_rejected(tmp_path):
    async with MailServer(tmp_path) as server:
        server.postman.moods = ["554 5.7.1 spam"]
        with pytest.raises(Rejected, match="554"):
            await channel(server).send(notice())


async def test_a_connection_that_drops_mid_mail_is_tried_again_with_the_same_message_id(tmp_path):
    async with MailServer(tmp_path) as server:
        mine = channel(server)
        server.postman.moods = ["drop", "250 taken", "250 taken"]
        with pytest.raises(Unavailable, match="broke"):
            await mine.send(notice())
        await mine.send(notice())
        await mine.send(notice())
    ids = [mail["Message-ID"] for _, mail in server.postman.mails]
    assert len(ids) == 2
    assert len(set(ids)) == 1


async def test_a_server_that_says_nothing_is_given_up_in_time(tmp_path):
    async with MailServer(tmp_path) as server:
        server.postman.moods = ["silence"]
        with pytest.raises(Unavailable, match="in time"):
            await channel(server, send_secs=0.3).send(notice())


async def test_a_server_that_does_not_say_goodbye_has_the_mail(tmp_path, monkeypatch):
    monkeypatch.setattr("tapewatch.notify.email._QUIT_SECS", 0.05)
    async with MailServer(tmp_path) as server:
        server.postman.quits = False
        assert await channel(server).send(notice())
    assert len(server.postman.mails) == 1


async def test_who_has_the_mail_does_not_get_it_again_because_of_another(tmp_path):
    async with MailServer(tmp_path) as server:
        mine = channel(server)
        server.postman.recipients = {"b@example.com": ["450 later", "250 x"]}
        with pytest.raises(Unavailable, match="b@example\\.com: 450"):
            await mine.send(notice())
        server.postman.recipients = {}
        await mine.send(notice())
    assert [receivers for receivers, _ in server.postman.mails] == [
        ("a@example.com",),
        ("b@example.com",),
    ]


async def test_an_address_that_does_not_exist_is_told_and_the_others_have_the_mail(tmp_path):
    async with MailServer(tmp_path) as server:
        server.postman.recipients = {"b@example.com": ["550 no such user"]}
        said = await channel(server).send(notice())
        assert "refused for b@example.com: 550" in said
        server.postman.recipients = {f"{who}@example.com": ["550 no"] for who in "ab"}
        with pytest.raises(Rejected, match="no receiver is taken"):
            await channel(server).send(notice())


async def test_without_starttls_nothing_is_sent_in_the_clear(tmp_path):
    async with MailServer(tmp_path, offers_tls=False) as server:
        with pytest.raises(Unavailable, match="cannot do"):
            await channel(server).send(notice())
        assert await channel(server, security="none").send(notice())
    assert len(server.postman.mails) == 1


async def test_a_certificate_of_nobody_is_not_trusted(tmp_path):
    async with MailServer(tmp_path, security="tls") as server:
        with pytest.raises(Unavailable):
            await channel(server, security="tls", ca_file="").send(notice())
    assert not server.postman.mails


async def test_nobody_there_is_unavailable(tmp_path):
    async with MailServer(tmp_path) as server:
        pass
    await asyncio.sleep(0)
    with pytest.raises(Unavailable):
        await channel(server).send(notice())
