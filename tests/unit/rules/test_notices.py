import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tapewatch.model.channel import Notice
from tapewatch.model.events import Alert, AlertState, Micros
from tapewatch.rules.matchers import read_all
from tapewatch.rules.notices import (
    MAX_OVER,
    NO_CHANNEL,
    Inhibition,
    Notices,
    Policy,
    State,
    Suppressed,
    title,
)
from tapewatch.rules.rule import Rule

SECOND = 1_000_000
START = 1_700_000_000 * SECOND
FIRING, RESOLVED = AlertState.FIRING, AlertState.RESOLVED
BTC, ETH = "binance:BTC/USDT", "okx:ETH/USDT"


def rule(name="surge", **more):
    return Rule(name=name, when="x > 1", **more)


def alert(state=FIRING, at=0, inst=BTC, name="surge", number=1, **more):
    ts = Micros(START + int(at * SECOND))
    fields = {"notify": (), "labels": ()} | more
    return Alert(ts, ts, inst, f"{name}/{inst}/{number}", name, state, "warning", 5.0, "", **fields)


class Desk:
    def __init__(self, *rules, channels=("mail",), **policy):
        self.notices = Notices(Policy({r.name: r for r in rules}, channels, **policy))
        self.now = START
        self.said = []

    def hear(self, *alerts):
        for one in alerts:
            self.said += self.notices.hear(one, self.now)
        return self

    def after(self, secs):
        self.now += int(secs * SECOND)
        self.said += self.notices.pass_time(self.now)
        return self

    def sent(self):
        return [
            (word.channel, [(a.inst, a.state) for a in word.alerts])
            for word in self.said
            if isinstance(word, Notice)
        ]

    def reasons(self):
        return [word.reason for word in self.said if isinstance(word, Suppressed)]

    def restarted(self):
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(self.notices.state), type=State)
        self.notices = Notices(self.notices._policy, state)
        return self


def test_alerts_of_one_rule_that_fire_together_are_one_notice():
    desk = Desk(rule()).hear(alert(), alert(inst=ETH)).after(1)
    assert not desk.sent()
    desk.after(1)
    assert desk.sent() == [("mail", [(BTC, FIRING), (ETH, FIRING)])]
    assert title(desk.said[-1]) == "2 symbols: surge"


def test_what_comes_soon_after_a_notice_waits_for_the_interval():
    desk = Desk(rule()).hear(alert()).after(2).hear(alert(inst=ETH)).after(29)
    assert len(desk.sent()) == 1
    assert desk.after(1).sent()[-1] == ("mail", [(ETH, FIRING)])


def test_the_end_of_what_was_told_is_told():
    desk = Desk(rule()).hear(alert()).after(2).hear(alert(RESOLVED)).after(30)
    assert desk.sent()[-1] == ("mail", [(BTC, RESOLVED)])
    assert title(desk.said[-1]) == "resolved: BTC/USDT: surge"


def test_what_resolves_before_it_was_told_is_told_once_with_its_beginning():
    desk = Desk(rule()).hear(alert(), alert(RESOLVED)).after(2).after(100)
    assert desk.sent() == [("mail", [(BTC, FIRING), (BTC, RESOLVED)])]
    assert title(desk.said[-1]) == "BTC/USDT: surge (over already)"


def test_what_resolves_before_it_was_told_is_held_if_it_was_silenced_meanwhile():
    desk = Desk(rule()).hear(alert(), alert(inst=ETH), alert(RESOLVED))
    silence(desk, 60, f"inst={BTC}")
    desk.after(2).after(100)
    assert desk.sent() == [("mail", [(ETH, FIRING)])]
    assert [reason.split()[0] for reason in desk.reasons()] == ["silenced"]


def test_what_resolves_while_it_waits_to_be_repeated_is_told_as_over():
    desk = Desk(rule(repeat_secs=60)).hear(alert()).after(2).after(61)
    assert desk.notices.next_group()
    desk.hear(alert(RESOLVED)).after(40)
    assert desk.sent() == [("mail", [(BTC, FIRING)]), ("mail", [(BTC, RESOLVED)])]


def test_an_alert_that_is_heard_twice_is_told_once():
    assert len(Desk(rule()).hear(alert(), alert()).after(2).hear(alert()).after(60).sent()) == 1


def test_a_rule_that_cools_down_does_not_speak_again_and_says_why():
    desk = Desk(rule(cooldown_secs=3600)).hear(alert()).after(2)
    desk.hear(alert(RESOLVED)).after(40).hear(alert(number=2), alert(RESOLVED, number=2)).after(60)
    assert [states for _, states in desk.sent()] == [[(BTC, FIRING)], [(BTC, RESOLVED)]]
    assert "cooling down until 2023-11-14T23:13:22" in desk.reasons()[0]
    assert "it resolved while it was held" in desk.reasons()[1]


def test_what_still_fires_after_the_cool_down_is_told_then():
    desk = Desk(rule(cooldown_secs=100)).hear(alert()).after(2)
    desk.hear(alert(RESOLVED)).after(40).hear(alert(number=2)).after(50)
    assert len(desk.sent()) == 2
    assert desk.after(12).after(5).sent()[-1] == ("mail", [(BTC, FIRING)])


def test_another_symbol_does_not_cool_down():
    desk = Desk(rule(cooldown_secs=100)).hear(alert()).after(2).hear(alert(inst=ETH)).after(60)
    assert len(desk.sent()) == 2


def test_a_firing_alert_is_told_again_when_the_rule_wants_it():
    desk = Desk(rule(repeat_secs=600)).hear(alert()).after(2).after(599)
    assert len(desk.sent()) == 1
    desk.after(1).after(2)
    assert len(desk.sent()) == 2
    assert title(desk.said[-1]) == "BTC/USDT: surge (still)"


def silence(desk, secs, *matchers):
    ends = Micros(desk.now + int(secs * SECOND))
    return desk.notices.silence(read_all(matchers), Micros(desk.now), ends, "planned work")


def test_a_silenced_alert_says_by_whom_and_is_told_when_the_silence_ends():
    desk = Desk(rule())
    silence(desk, 60, "rule=surge", "venue=binance")
    desk.hear(alert(), alert(inst=ETH)).after(2).after(30)
    assert desk.sent() == [("mail", [(ETH, FIRING)])]
    assert desk.reasons() == ["silenced by s1: planned work"]
    assert desk.after(30).after(2).sent()[-1] == ("mail", [(BTC, FIRING)])


def test_a_silence_that_is_lifted_holds_nothing_back():
    desk = Desk(rule())
    silence(desk, 600, "rule=*")
    desk.hear(alert())
    assert desk.notices.unsilence("s1")
    assert not desk.notices.unsilence("s1")
    assert desk.after(1).after(2).sent()


def test_while_a_feed_is_stale_what_is_computed_from_it_is_inhibited():
    stale = Inhibition(read_all(["rule=stale"]), read_all(["rule!=stale"]), ("venue",))
    desk = Desk(rule(), rule("stale"), inhibitions=(stale,))
    feed = alert(inst="binance:*", name="stale")
    desk.hear(feed, alert(), alert(inst=ETH)).after(2)
    assert sorted(states[0][0] for _, states in desk.sent()) == ["binance:*", ETH]
    assert desk.reasons() == [f"inhibited by {feed.id}"]
    desk.hear(alert(RESOLVED, inst="binance:*", name="stale")).after(1).after(40)
    assert ("mail", [(BTC, FIRING)]) in desk.sent()


def test_each_channel_of_a_rule_is_told_and_a_rule_without_one_says_so():
    desk = Desk(rule(), channels=()).hear(alert(notify=("mail", "desk")), alert(number=2)).after(2)
    assert [channel for channel, _ in desk.sent()] == ["mail", "desk"]
    assert desk.reasons() == [NO_CHANNEL]


def test_after_a_restart_nothing_is_told_twice_and_nothing_is_lost():
    desk = Desk(rule()).hear(alert()).restarted().after(2).restarted()
    assert [notice.id for notice in desk.said if isinstance(notice, Notice)] == ["mail-1"]
    desk.restarted().hear(alert()).after(60)
    assert len(desk.sent()) == 1


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("fire", "resolve", "wait", "silence", "restart")),
        st.sampled_from((BTC, ETH)),
        st.integers(1, 120),
    ),
    max_size=50,
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_every_firing_alert_is_told_or_it_is_said_why_not(steps):
    desk = Desk(rule(cooldown_secs=90), channels=("mail", "desk"))
    fired, number, open_ = set(), 0, {}
    for kind, inst, size in steps:
        if kind == "fire" and inst not in open_:
            number += 1
            open_[inst] = number
            one = alert(inst=inst, number=number)
            fired.add(one.id)
            desk.hear(one)
        elif kind == "resolve" and inst in open_:
            desk.hear(alert(RESOLVED, inst=inst, number=open_.pop(inst)))
        elif kind == "wait":
            desk.after(size)
        elif kind == "silence":
            silence(desk, size, f"inst={inst}")
        else:
            desk.restarted()
    for _ in range(4):
        desk.after(120)
    for channel in ("mail", "desk"):
        notices = [w for w in desk.said if isinstance(w, Notice) and w.channel == channel]
        told = {a.id for w in notices for a in w.alerts}
        held = {w.alert for w in desk.said if isinstance(w, Suppressed) and w.channel == channel}
        assert fired <= told | held
        still = {f"surge/{inst}/{n}" for inst, n in open_.items()}
        assert still <= told
        states = [(a.id, a.state) for w in notices for a in w.alerts]
        assert len(states) == len(set(states))


def test_what_is_inhibited_while_it_waits_for_its_group_is_not_told():
    stale = Inhibition(read_all(["rule=stale"]), read_all(["rule!=stale"]), ("venue",))
    desk = Desk(rule(), rule("stale"), inhibitions=(stale,))
    desk.hear(alert(), alert(inst=ETH)).after(1)
    feed = alert(inst="binance:*", name="stale")
    desk.hear(feed).after(1).after(1)
    assert sorted(states[0][0] for _, states in desk.sent()) == ["binance:*", ETH]
    assert desk.reasons() == [f"inhibited by {feed.id}"]
    assert desk.restarted().after(5).reasons() == [f"inhibited by {feed.id}"]
    desk.hear(alert(RESOLVED, inst="binance:*", name="stale")).after(1).after(40)
    assert ("mail", [(BTC, FIRING)]) in desk.sent()


def test_why_an_alert_is_held_is_said_once_for_each_reason():
    desk = Desk(rule(cooldown_secs=3600)).hear(alert()).after(2)
    desk.hear(alert(RESOLVED)).after(40).hear(alert(number=2))
    for _ in range(10):
        desk.after(1)
    assert len(desk.reasons()) == 1
    silence(desk, 60, "rule=surge")
    for _ in range(10):
        desk.after(1)
    assert [reason.split()[0] for reason in desk.reasons()] == ["cooling", "silenced"]


def test_a_silenced_alert_is_not_told_again_while_it_fires_on():
    desk = Desk(rule(repeat_secs=600)).hear(alert()).after(2)
    silence(desk, 1000, "rule=surge")
    desk.after(700).after(5)
    assert len(desk.sent()) == 1
    assert [reason[:23] for reason in desk.reasons()] == ["not repeated: silenced "]
    desk.after(400).after(40)
    assert len(desk.sent()) == 2
    assert not any(each.held for each in desk.notices.state.open.values())


def test_a_clock_that_was_set_back_holds_no_group():
    desk = Desk(rule()).hear(alert())
    desk.now -= 3600 * SECOND
    assert desk.after(0).sent()


def test_after_a_restart_what_was_missed_is_what_fires_unheard_and_what_ended_unheard():
    desk = Desk(rule()).hear(alert(), alert(inst=ETH)).after(2).restarted()
    new = alert(inst="okx:SOL/USDT")
    restored = frozenset(desk.notices.state.open)
    missed = desk.notices.missed([alert(inst=ETH), new], restored, desk.now)
    assert [(each.inst, each.state) for each in missed] == [
        ("okx:SOL/USDT", FIRING),
        (BTC, RESOLVED),
    ]
    assert missed[1].id == alert().id
    assert desk.hear(*missed).after(60).sent()[-1][1] == [("okx:SOL/USDT", FIRING), (BTC, RESOLVED)]


def test_a_thousand_held_alerts_are_looked_at_in_no_time_that_grows_with_their_square():
    """Each asks only the alerts that can inhibit it, not all that fire."""
    stale = Inhibition(read_all(["rule=stale"]), read_all(["rule!=stale"]), ("venue",))
    desk = Desk(rule(), rule("stale"), inhibitions=(stale,))
    desk.hear(alert(inst="binance:*", name="stale"))
    desk.hear(*(alert(inst=f"binance:A{n}/USDT", number=n) for n in range(1_000)))
    assert len(desk.reasons()) == 1_000
    assert [len(sources) for sources in desk.notices._sources] == [1]
    assert desk.after(1).after(1).reasons() == desk.reasons()


def test_an_alert_without_a_channel_fires_all_the_same_and_is_told_when_there_is_one():
    desk = Desk(rule(), channels=()).hear(alert()).after(5)
    assert desk.reasons() == [NO_CHANNEL]
    assert list(desk.notices.state.open) == [alert().id]
    state = desk.notices.state
    later = Desk(rule(), channels=("mail",))
    later.notices = Notices(later.notices._policy, state)
    assert later.after(10).after(2).sent() == [("mail", [(BTC, FIRING)])]
    assert desk.hear(alert(RESOLVED)).notices.state.open == {}


def test_of_what_is_over_only_so_much_is_remembered():
    desk = Desk()
    for number in range(MAX_OVER + 10):
        desk.hear(alert(number=number), alert(RESOLVED, number=number))
    assert len(desk.notices.state.over) == MAX_OVER
    desk.after(7 * 3600).hear(alert(number="x"), alert(RESOLVED, number="x"))
    assert list(desk.notices.state.over) == [alert(number="x").id]


def test_what_was_only_thought_to_be_over_is_told_when_it_goes_on():
    desk = Desk(rule()).hear(alert()).after(2).restarted()
    desk.hear(*desk.notices.missed([], {alert().id}, desk.now)).after(40)
    desk.hear(alert()).after(40).hear(alert(RESOLVED)).after(40).hear(alert()).after(40)
    states = [states for _, states in desk.sent()]
    assert states == [[(BTC, FIRING)], [(BTC, RESOLVED)], [(BTC, FIRING)], [(BTC, RESOLVED)]]
