"""Channels from settings, and how mistakes in them are told."""

import pytest

from tapewatch.model.errors import NotFound
from tapewatch.notify.email import Email
from tapewatch.notify.slack import Slack
from tapewatch.runtime import launch
from tapewatch.runtime.notify_settings import SILENT_FEED
from tapewatch.settings.problems import InvalidSettings

MAIL = "{smtp_host: mail.example.com, from_addr: a@example.com, to_addrs: b@example.com}"


@pytest.fixture
def plan(tmp_path):
    def plan(text, environ=None):
        file = tmp_path / "tapewatch.yaml"
        file.write_text(text)
        loaded = launch.load(file, environ=environ or {}, folder=tmp_path)
        return launch.plan_of(loaded)

    return plan


def faults(plan, text):
    with pytest.raises(InvalidSettings) as caught:
        plan(text)
    return [(p.path, p.message, p.place.line) for p in caught.value.problems]


def test_the_mail_of_the_first_system_is_the_channel_email(plan):
    telling = plan(f"alerts: {{email: {MAIL}}}").telling
    (channel,) = telling.channels
    assert isinstance(channel.notifier, Email)
    assert (channel.notifier.name, channel.type) == ("email", "email")
    assert telling.policy.channels == ("email",)


def test_a_mail_section_that_names_nobody_to_write_to_is_no_channel(plan):
    text = "alerts: {email: {smtp_host: a, from_addr: b@c, to_addrs: []}}"
    assert plan(text).telling.channels == ()


def test_the_webhook_of_slack_in_the_environment_is_a_channel(plan):
    found = plan("{}", {"SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/x"}).telling
    assert isinstance(found.channels[0].notifier, Slack)


def test_channels_have_names_of_their_own_and_a_type(plan):
    text = f"""
notify:
  channels: [desk]
  group_wait_secs: 1
  desk: {{type: webhook, url: "https://example.com/a"}}
  ops: {{type: email, {MAIL[1:]}
  off: {{type: slack, webhook_url: "https://a.example/x", enabled: false}}
"""
    telling = plan(text).telling
    assert [(c.notifier.name, c.type) for c in telling.channels] == [
        ("desk", "webhook"),
        ("ops", "email"),
    ]
    assert telling.policy.channels == ("desk",)
    assert telling.policy.group_wait_secs == 1
    assert telling.policy.inhibitions == (SILENT_FEED,)


def test_every_mistake_is_told_at_its_line(plan):
    text = f"""\
notify:
  channels: [dsk]
  desk: {{type: webhok, url: "https://example.com/a"}}
  pager: {{type: webhook, url: "ftp://geheim"}}
  inhibitions:
    - {{source: [rule], target: ["rule!=x"]}}
  email: {MAIL}
alerts:
  email: {MAIL}
"""
    (found,) = faults(plan, text)
    assert found == ("notify.desk", "unknown type of channel `webhok`", 3)
    text = text.replace("webhok", "webhook")
    found = faults(plan, text)
    assert sorted((line, path) for path, _, line in found) == [
        (2, "notify.channels.0"),
        (4, "notify.pager.url"),
        (6, "notify.inhibitions.0.source.0"),
        (7, "notify.email"),
    ]
    assert all("geheim" not in message for _, message, _ in found)


def test_a_user_without_a_password_is_told(plan):
    text = f"alerts: {{email: {MAIL[:-1]}, username: me}}}}"
    ((path, message, _),) = faults(plan, text)
    assert path == "alerts.email.password"
    assert message == "there is a username and no password"


def test_a_rule_that_names_no_channel_of_ours_is_told(plan):
    text = f"""\
alerts:
  email: {MAIL}
  rules:
    - {{name: mine, when: change_short > 1%, notify: [emial]}}
"""
    assert faults(plan, text) == [("alerts.rules.0.notify.0", "unknown channel `emial`", 4)]


@pytest.mark.parametrize("site", ["example.com", "ftp://a"])
def test_the_address_of_our_own_pages_must_be_one(plan, site):
    ((path, message, _),) = faults(plan, f"notify: {{site: '{site}'}}")
    assert (path, message) == ("notify.site", "must begin with https:// or http://")


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # apprise imports it
def test_no_secret_of_a_channel_is_shown(tmp_path, plan):
    text = "notify: {a: {type: apprise, urls: ['json://geheim@host/x']}}"
    shown = str(plan(text).settings_view())
    assert "geheim" not in shown
    assert "***" in shown


def test_the_type_of_a_channel_is_a_file_and_an_unknown_one_names_the_nearest():
    with pytest.raises(NotFound) as caught:
        launch.config_of("notify", "emial")
    assert caught.value.suggestions[0] == "email"


def test_numbers_of_channels_that_cannot_be_are_told_at_their_line(plan):
    text = f"notify:\n  ops: {MAIL[:-1]}, type: email, smtp_port: 99999,\n    send_secs: 0}}\n"
    assert [(path, line) for path, _, line in faults(plan, text)] == [
        ("notify.ops.smtp_port", 2), ("notify.ops.send_secs", 3),
    ]  # fmt: skip
