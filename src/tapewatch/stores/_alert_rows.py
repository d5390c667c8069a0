"""The tables of the delivery log, and the questions that are asked of them."""

import sqlite3
from typing import Any

import msgspec

from tapewatch.model.events import Alert, AlertState, Micros
from tapewatch.rules.story import Attempt, Line, NotTold, Story, Told

WAITING, SENT, FAILED, DROPPED = "waiting", "sent", "failed", "dropped"
MIGRATIONS = (
    """
    CREATE TABLE state (one INTEGER PRIMARY KEY CHECK (one = 1), body BLOB NOT NULL);
    CREATE TABLE alerts (
        id TEXT NOT NULL, state TEXT NOT NULL, at INTEGER NOT NULL, body BLOB NOT NULL,
        PRIMARY KEY (id, state)
    ) WITHOUT ROWID;
    CREATE INDEX alerts_at ON alerts (at);
    CREATE TABLE notices (
        id TEXT PRIMARY KEY, channel TEXT NOT NULL, at INTEGER NOT NULL, title TEXT NOT NULL,
        alerts INTEGER NOT NULL, status TEXT NOT NULL, body BLOB NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX notices_waiting ON notices (channel, at) WHERE status = 'waiting';
    CREATE INDEX notices_at ON notices (at);
    CREATE TABLE told (
        alert TEXT NOT NULL, notice TEXT NOT NULL, PRIMARY KEY (alert, notice)
    ) WITHOUT ROWID;
    CREATE TABLE attempts (
        notice TEXT NOT NULL, at INTEGER NOT NULL, ok INTEGER NOT NULL, said TEXT NOT NULL,
        took_ms REAL NOT NULL, PRIMARY KEY (notice, at)
    ) WITHOUT ROWID;
    CREATE TABLE suppressed (
        alert TEXT NOT NULL, channel TEXT NOT NULL, at INTEGER NOT NULL, reason TEXT NOT NULL,
        PRIMARY KEY (alert, channel, at, reason)
    ) WITHOUT ROWID;
    CREATE INDEX suppressed_at ON suppressed (at);
    """,
)
_ORDER = (AlertState.PENDING, AlertState.FIRING, AlertState.RESOLVED, AlertState.WITHDRAWN)
_decode = msgspec.msgpack.Decoder(Alert).decode


def newest_ids(base: sqlite3.Connection, limit: int) -> list[str]:
    """Give the ids of alerts, those that were last heard of first."""
    statement = "SELECT id FROM alerts GROUP BY id ORDER BY max(at) DESC, id LIMIT ?"
    return [row[0] for row in base.execute(statement, (limit,))]


def states(base: sqlite3.Connection, alert_id: str) -> tuple[Alert, ...]:
    rows = base.execute("SELECT body FROM alerts WHERE id = ?", (alert_id,))
    return tuple(sorted((_decode(body) for (body,) in rows), key=lambda a: _ORDER.index(a.state)))


def last_states(base: sqlite3.Connection, limit: int) -> list[Alert]:
    """Give each alert as it was last heard of, the newest first."""
    found = (states(base, each) for each in newest_ids(base, limit))
    return [each[-1] for each in found if each]


def story(base: sqlite3.Connection, alert_id: str) -> Story:
    told = base.execute(
        "SELECT n.id, n.channel, n.at, n.status, n.title, n.alerts FROM told t"
        " JOIN notices n ON n.id = t.notice WHERE t.alert = ? ORDER BY n.at, n.id",
        (alert_id,),
    ).fetchall()
    not_told = base.execute(
        "SELECT channel, at, reason FROM suppressed WHERE alert = ? ORDER BY at", (alert_id,)
    )
    return Story(
        alert_id,
        states(base, alert_id),
        tuple(_told(base, *row) for row in told),
        tuple(NotTold(*row) for row in not_told),
    )


def _told(base: sqlite3.Connection, notice_id: str, *row: Any) -> Told:
    channel, at, status, title, alerts = row
    return Told(notice_id, channel, at, status, title, alerts, attempts(base, notice_id))


def attempts(base: sqlite3.Connection, notice_id: str) -> tuple[Attempt, ...]:
    rows = base.execute(
        "SELECT at, ok, said, took_ms FROM attempts WHERE notice = ? ORDER BY at", (notice_id,)
    )
    return tuple(Attempt(at, bool(ok), said, took_ms) for at, ok, said, took_ms in rows)


def history(
    base: sqlite3.Connection, since: Micros, until: Micros, limit: int, channel: str = ""
) -> list[Line]:
    """Give what was told and what was not, the newest first."""
    where: dict[str, Any] = {
        "since": since, "until": until, "limit": limit, "channel": channel,
    }  # fmt: skip
    rows = base.execute(
        "SELECT at, channel, title, status, alerts,"
        " (SELECT count(*) FROM attempts WHERE notice = id),"
        " coalesce((SELECT said FROM attempts WHERE notice = id ORDER BY at DESC LIMIT 1), ''), id"
        " FROM notices WHERE at >= :since AND at < :until AND :channel IN ('', channel)"
        " UNION ALL SELECT at, channel, alert, 'suppressed', 1, 0, reason, alert"
        " FROM suppressed WHERE at >= :since AND at < :until AND :channel IN ('', channel)"
        " ORDER BY 1 DESC, 8 DESC LIMIT :limit",
        where,
    )
    return [Line(*row) for row in rows]


def prune(base: sqlite3.Connection, before: Micros) -> None:
    """Forget what is older, but never a notice that still waits."""
    old = (before,)
    base.execute("DELETE FROM suppressed WHERE at < ?", old)
    base.execute("DELETE FROM notices WHERE at < ? AND status != 'waiting'", old)
    base.execute("DELETE FROM alerts WHERE at < ?", old)
    base.execute("DELETE FROM attempts WHERE notice NOT IN (SELECT id FROM notices)")
    base.execute("DELETE FROM told WHERE notice NOT IN (SELECT id FROM notices)")
