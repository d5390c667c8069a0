"""What holds for all tests: no network where there must be none, no silent skip in CI.

`TAPEWATCH_CI=1` or `CI=1`: a test that was skipped for a reason that is not listed here fails the
session. Locally a skip is only shown.
"""

import os
import re
import socket
import sys
from pathlib import Path

import hypothesis
import pytest

_HERE = Path(__file__).parent
_NO_NETWORK = ("unit", "golden")
# Skips that CI may have: what cannot be there, not what somebody forgot to install.
_MAY_BE_SKIPPED = re.compile(
    r"recorded frames|recordings|only on (Windows|macOS)|not on Linux", re.IGNORECASE
)

# A shared machine is slow at times, and a test asserts no times.
hypothesis.settings.register_profile(
    "tapewatch", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("tapewatch")

_skipped: list[tuple[str, str]] = []


def _in_ci() -> bool:
    return any(
        os.environ.get(name, "") not in {"", "0", "false"} for name in ("TAPEWATCH_CI", "CI")
    )


def _refuse(_self: socket.socket, address: object, *_: object) -> None:
    raise AssertionError(f"a test without network wanted to reach {address}")


@pytest.fixture(autouse=True)
def _no_network(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = request.node.path.relative_to(_HERE).parts[0]
    # On Windows an event loop talks to itself through a loopback socket.
    if folder in _NO_NETWORK and sys.platform != "win32":
        for name in ("connect", "connect_ex", "bind", "sendto"):
            monkeypatch.setattr(socket.socket, name, _refuse)


@pytest.hookimpl(trylast=True)  # after those that shuffle
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _note(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    _note(report)


def _note(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not _MAY_BE_SKIPPED.search(reason):
        _skipped.append((report.nodeid, reason))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if _in_ci() and _skipped and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _in_ci() and _skipped:
        terminalreporter.section("skipped, and CI must run them", red=True)
        for where, reason in _skipped:
            terminalreporter.line(f"{where}: {reason}")
