import sqlite3

import pytest

from tapewatch.model.errors import ConfigError, Unavailable
from tapewatch.model.events import AlertState, Micros
from tapewatch.model.times import DAY
from tapewatch.rules.notices import Notices, Policy, State, Suppressed
from tapewatch.rules.story import Attempt
from tapewatch.stores import _alert_rows as rows
from tapewatch.stores.alert_log import FILE, SENT, WAITING, AlertLog, read
from tests.notices import BTC, ETH, SECOND, START, alert, notice


@pytest.fixture
async def log(tmp_path):
    log = AlertLog(tmp_path / FILE, clock=lambda: Micros(START + 100 * DAY))
    yield log
    await log.close()


def later(secs):
    return Micros(START + secs * SECOND)


async def test_a_step_is_kept_whole_and_recalled(log):
    notices = Notices(Policy({}, ("mail",), (), 0.0, 0.0))
    notices.hear(alert(), START)
    words = notices.pass_time(later(1))
    await log.write(notices.state, [alert()], words)
    state, waiting = await log.recall()
    assert state == notices.state
    assert [(each.notice, each.attempts) for each in waiting] == [(words[0], 0)]
    await log.attempted("mail-1", Attempt(later(2), False, "451", 3.0), WAITING)
    _, ((waiting),) = await log.recall()
    assert waiting.attempts == 1
    await log.attempted("mail-1", Attempt(later(4), True, "250", 3.0), SENT)
    assert (await log.recall())[1] == []


async def test_a_step_that_is_written_twice_is_there_once(log):
    step = (State(), [alert()], [notice(), Suppressed(alert().id, "desk", START, "silenced")])
    await log.write(*step)
    await log.attempted("mail-1", Attempt(START, True, "250"), SENT)
    await log.write(*step)
    story = await log.story(alert().id)
    assert [each.status for each in story.told] == [SENT]
    assert len(story.not_told) == 1
    assert len(story.states) == 1


async def test_the_history_has_what_was_told_and_what_was_not_newest_first(log):
    words = [notice(), notice(alert(inst=ETH), number=2), Suppressed("a", "desk", later(9), "why")]
    await log.write(State(), [], words)
    await log.attempted("mail-1", Attempt(later(3), False, "451"), WAITING)
    lines = await log.history(START, later(60), 10)
    assert [(line.id, line.status, line.said) for line in lines] == [
        ("a", "suppressed", "why"),
        ("mail-2", WAITING, ""),
        ("mail-1", WAITING, "451"),
    ]
    assert [line.id for line in await log.history(START, later(60), 10, "desk")] == ["a"]
    assert [line.id for line in await log.history(START, later(60), 1)] == ["a"]
    assert await log.history(later(10), later(60), 10) == []


async def test_states_of_an_alert_are_in_the_order_of_its_life(log, tmp_path):
    for state in (AlertState.RESOLVED, AlertState.PENDING, AlertState.FIRING):
        await log.write(State(), [alert(state)], [])
    await log.write(State(), [alert(inst=ETH, ts=later(5))], [])
    assert [each.state.value for each in (await log.story(alert().id)).states] == [
        "pending",
        "firing",
        "resolved",
    ]
    last = read(tmp_path, lambda base: rows.last_states(base, 10))
    assert [(each.inst, each.state.value) for each in last] == [(ETH, "firing"), (BTC, "resolved")]


async def test_what_is_old_is_forgotten_but_never_what_waits(log):
    await log.write(
        State(), [alert()], [notice(), notice(number=2), Suppressed("a", "", START, "")]
    )
    await log.attempted("mail-1", Attempt(START, True, "250"), SENT)
    await log.prune()
    assert [line.id for line in await log.history(Micros(0), later(60), 10)] == ["mail-2"]
    assert [each.notice.id for each in (await log.recall())[1]] == ["mail-2"]
    assert await log.newest_ids(5) == []
    assert (await log.story(alert().id)).told[0].notice == "mail-2"


async def test_a_state_that_cannot_be_read_begins_anew_and_the_notices_stay(log):
    await log.write(State(serial=7), [], [notice()])
    await log.ask(lambda base: base.execute("UPDATE state SET body = x'ff'"))
    state, waiting = await log.recall()
    assert state == State()
    assert len(waiting) == 1


async def test_a_file_of_a_newer_version_is_left_alone(tmp_path, log):
    await log.write(State(), [], [])
    await log.ask(lambda base: base.execute("PRAGMA user_version = 99"))
    await log.close()
    with pytest.raises(ConfigError, match="newer tapewatch"):
        await log.recall()


async def test_a_wrong_statement_of_ours_does_not_cost_the_file(tmp_path, log):
    await log.write(State(), [alert()], [])
    with pytest.raises(sqlite3.IntegrityError):
        await log.ask(lambda base: base.execute("INSERT INTO state VALUES (1, x'00')"))
    assert await log.newest_ids(5) == [alert().id]


async def test_a_file_that_cannot_be_opened_is_unavailable(tmp_path):
    (tmp_path / FILE).mkdir()
    log = AlertLog(tmp_path / FILE, clock=lambda: START)
    with pytest.raises(Unavailable):
        await log.recall()
    with pytest.raises(Unavailable):
        read(tmp_path, lambda base: rows.newest_ids(base, 1))
    await log.close()
