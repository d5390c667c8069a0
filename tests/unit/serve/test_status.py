import base64
import hashlib
import re

from tapewatch.serve import status
from tapewatch.serve.ask import Ask
from tests.serving import NOW, World


def ask(accept: str) -> Ask:
    return Ask({}, {}, NOW, accept)


async def test_people_get_a_page_and_programs_get_json():
    context = World().context
    page = await status.get_root(context, ask("text/html,application/xhtml+xml,*/*"))
    assert page.content_type.startswith("text/html")
    body = await status.get_root(context, ask("application/json"))
    assert body.body.status == "healthy"


async def test_the_policy_allows_our_script_and_nothing_else():
    page = await status.get_root(World().context, ask("text/html"))
    policy = page.headers["Content-Security-Policy"]
    text = page.body.decode()
    script = re.search("<script>(.*?)</script>", text, re.DOTALL)[1]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


async def test_the_page_needs_nothing_from_elsewhere():
    page = await status.get_root(World().context, ask("text/html"))
    text = page.body.decode()
    assert not re.findall(r"(?:src|href)=\"(?:https?:)?//", text)
    assert not re.findall(r"\son\w+=|style=\"|innerHTML", text)
