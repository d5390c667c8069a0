"""From `notify:` and `alerts.email` to channels that can be sent to; complaints at their lines."""

from collections.abc import Mapping, Sequence

from msgspec import structs

from tapewatch.model.channel import ChannelConfig
from tapewatch.model.errors import ConfigError
from tapewatch.rules.defaults import STALE_FEED, RuleSet
from tapewatch.rules.matchers import Matcher, read
from tapewatch.rules.notices import Inhibition, Policy
from tapewatch.runtime import plugins
from tapewatch.runtime.plan import Channel, Telling
from tapewatch.settings.loader import Loaded
from tapewatch.settings.schema import Inhibit, Settings
from tapewatch.settings.values import nearest

EMAIL = "email"  # the channel of `alerts.email`
# What is computed from a feed says nothing while the feed is silent.
SILENT_FEED = Inhibition(
    (Matcher("rule", STALE_FEED),), (Matcher("rule", STALE_FEED, negated=True),), ("venue",)
)


def telling_of(loaded: Loaded, rules: RuleSet) -> Telling:
    """Build every channel that is on. Complaints are raised by `loaded.refuse`."""
    notify = loaded.settings.notify
    sections = sections_of(loaded)
    built = [_channel(loaded, name, config) for name, config in sections.items() if config.enabled]
    channels = tuple(each for each in built if each is not None)
    _check_names(loaded, sections)
    default = notify.channels or tuple(each.notifier.name for each in channels)
    policy = Policy(
        rules={rule.name: rule for rule in rules.rules},
        channels=default,
        inhibitions=(SILENT_FEED, *_inhibitions(loaded, notify.inhibitions)),
        group_wait_secs=notify.group_wait_secs,
        group_interval_secs=notify.group_interval_secs,
    )
    return Telling(channels=channels, policy=policy, site=notify.site)


def sections_of(loaded: Loaded) -> dict[str, ChannelConfig]:
    """Every channel by its name, on or off."""
    settings = loaded.settings
    sections: dict[str, ChannelConfig] = dict(settings.notify.sections)
    mail = _mail(settings)
    if mail is not None and EMAIL in sections:
        hint = "keep one, or give the one under notify another name and `type: email`"
        loaded.complain("notify.email", "there is an alerts.email too", hint, "CFG006")
    elif mail is not None:
        sections[EMAIL] = mail
    return sections


def path_of(settings: Settings, name: str) -> str:
    """Where a channel stands in the settings."""
    return f"notify.{name}" if name in settings.notify.sections else "alerts.email"


def build(name: str, config: ChannelConfig) -> Channel:
    """Raises ConfigError if the settings cannot be used."""
    kind = config.type or name
    notifier = plugins.load("notify", kind).build(name, config)
    return Channel(notifier, kind, config.send_secs)


def _channel(loaded: Loaded, name: str, config: ChannelConfig) -> Channel | None:
    try:
        return build(name, config)
    except ConfigError as error:
        path, (setting, message) = path_of(loaded.settings, name), _halves(str(error))
        is_field = setting in config.__struct_fields__
        where = f"{path}.{setting}" if is_field else path
        loaded.complain(where, message if is_field else str(error))
        return None


def _halves(text: str) -> tuple[str, str]:
    """Split `notify.desk.url: must be ...`: which setting of the channel is meant, and why."""
    head, _, rest = text.partition(": ")
    return head.rpartition(".")[2], rest


def _mail(settings: Settings) -> ChannelConfig | None:
    """The section of our first system, as a channel."""
    email = settings.alerts.email
    if email is None or not email.to_addrs:
        return None
    made: ChannelConfig = plugins.load("notify", EMAIL).config(**structs.asdict(email))
    return made


def _check_names(loaded: Loaded, sections: Mapping[str, ChannelConfig]) -> None:
    """A channel that a rule names must be there."""
    named = [("notify.channels", loaded.settings.notify.channels)]
    written = loaded.settings.alerts.rules
    named += [(f"alerts.rules.{n}.notify", rule.notify) for n, rule in enumerate(written)]
    for path, names in named:
        for index, name in enumerate(names):
            where = f"{path}.{index}"
            if name not in sections:
                hint = nearest(name, sections) or "channels stand under notify:, by their names"
                loaded.complain(where, f"unknown channel `{name}`", hint)
            elif not sections[name].enabled:
                loaded.note(where, f"the channel {name} is switched off: it is not told")


def _inhibitions(loaded: Loaded, written: Sequence[Inhibit]) -> list[Inhibition]:
    return [
        Inhibition(
            _matchers(loaded, f"notify.inhibitions.{number}.source", each.source),
            _matchers(loaded, f"notify.inhibitions.{number}.target", each.target),
            each.equal,
        )
        for number, each in enumerate(written)
    ]


def _matchers(loaded: Loaded, path: str, texts: Sequence[str]) -> tuple[Matcher, ...]:
    found = []
    for index, text in enumerate(texts):
        try:
            found.append(read(text))
        except ValueError as error:
            loaded.complain(f"{path}.{index}", str(error))
    return tuple(found)
