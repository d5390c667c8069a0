"""Its own services are not tested here, but what becomes of their answer."""

import threading

import apprise
import pytest

from tapewatch.model.errors import ConfigError, Unavailable
from tapewatch.model.secret import Secret
from tapewatch.notify.apprise import Apprise, AppriseConfig
from tests.notices import alert, notice

# It loads its services when they are first asked for, and one of them imports imghdr.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")


class Service(apprise.NotifyBase):
    """A service of apprise, in this process."""

    secure_protocol = "tapewatchtest"
    service_name = "test"
    service_url = "https://example.com"
    templates = ("{schema}://",)
    told: list = []
    away: set = set()  # hosts
    gate = threading.Event()

    def send(self, body, title="", notify_type=None, **kwargs):
        self.gate.wait()
        if self.host in self.away:
            return False
        self.told.append((title, body, notify_type.value))
        return True

    def url(self, *args, **kwargs):
        return "tapewatchtest://"

    @staticmethod
    def parse_url(url):
        return apprise.NotifyBase.parse_url(url, verify_host=False)


@pytest.fixture(autouse=True)
def _service():
    apprise.plugins.N_MGR["tapewatchtest"] = Service
    Service.told, Service.away = [], set()
    Service.gate.set()
    yield
    Service.gate.set()
    apprise.plugins.N_MGR.remove("tapewatchtest")


def channel(*hosts, **more):
    urls = tuple(Secret(f"tapewatchtest://{host}") for host in hosts or ("one",))
    return Apprise("chat", AppriseConfig(urls=urls, **more))


async def test_a_notice_is_a_title_and_a_text():
    said = await channel().send(notice(alert(severity="critical")))
    assert said == "taken by 1 service"
    ((title, body, kind),) = Service.told
    assert title == "BTC/USDT: surge"
    assert "5.2 times the usual volume" in body
    assert kind == "failure"


async def test_a_service_that_does_not_take_it_is_asked_again_and_the_others_are_not():
    mine = channel("one", "two", "three")
    Service.away = {"two"}
    for _ in range(2):
        with pytest.raises(Unavailable, match="2 of 3 took it, not number 2"):
            await mine.send(notice())
    Service.away = set()
    assert await mine.send(notice()) == "taken by 3 services"
    assert len(Service.told) == 3
    await mine.send(notice(number=2))
    assert len(Service.told) == 6


async def test_a_service_that_hangs_costs_one_thread_and_no_more():
    mine = channel(send_secs=0.05)
    Service.gate.clear()
    with pytest.raises(Unavailable, match="no answer within"):
        await mine.send(notice())
    with pytest.raises(Unavailable, match="has not ended"):
        await mine.send(notice())
    Service.gate.set()
    await mine._under_way
    mine._secs = 60.0  # now it may take its time
    assert await mine.send(notice())
    assert len(Service.told) == 1


def test_an_address_that_apprise_does_not_know_is_told_without_it():
    with pytest.raises(ConfigError, match="does not know number 2") as caught:
        Apprise("chat", AppriseConfig(urls=(Secret("tapewatchtest://"), Secret("nope://geheim"))))
    assert "geheim" not in str(caught.value)
