"""The page at `/`: prices, connections and statistics for a person, until the dashboard comes.

One self-contained page, nothing from elsewhere: its script and style are named by their hashes in
a policy that forbids everything else, so that no text of a venue can ever run in it.
"""

import base64
import hashlib
import re
from importlib.resources import files

from msgspec import Struct

from tapewatch.model.times import iso
from tapewatch.serve import health
from tapewatch.serve.ask import Ask, Reply
from tapewatch.serve.context import Context
from tapewatch.serve.stats import streams, uptime_secs


class Status(Struct, kw_only=True):
    name: str
    version: str
    status: str
    demo: bool
    timestamp: str
    uptime_seconds: float
    subscribed_symbols: list[str]
    problems: list[str]
    openapi: str


async def get_root(context: Context, ask: Ask) -> Reply:
    ask.done()
    if "application/json" in ask.accept and "text/html" not in ask.accept:
        return Reply(_status(context))
    page = files("tapewatch.serve").joinpath("status.html").read_bytes()
    headers = {"Content-Security-Policy": _policy(page.decode())}
    return Reply(page, content_type="text/html; charset=utf-8", headers=headers)


def _status(context: Context) -> Status:
    verdict = health.judge(context)
    return Status(
        name="tapewatch",
        version=context.version,
        status=verdict.status,
        demo=context.demo,
        timestamp=iso(context.clock()),
        uptime_seconds=uptime_secs(context),
        subscribed_symbols=streams(context),
        problems=verdict.problems,
        openapi="/openapi.json",
    )


def _policy(page: str) -> str:
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src {hashes(page, 'script')}",
            f"style-src {hashes(page, 'style')}",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def hashes(page: str, tag: str) -> str:
    found = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    return " ".join(f"'sha256-{_sha256(text)}'" for text in found)


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
