"""Killed at any moment (SIGKILL): no alert is lost, and none is in two notices."""

import asyncio
import random
import signal
import sys
from collections import defaultdict
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.integration.teller import LENGTH

ROOT = Path(__file__).parents[2]
KILLS = 6
LAST = 20


class Life:
    """One life of the telling process."""

    def __init__(self, folder, url):
        self.folder = folder
        self.url = url
        self.last = 0

    async def live(self, count):
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.integration.teller", str(self.folder),
            str(self.last + 1), str(count), self.url, cwd=ROOT,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def killed_after(self, lines):
        process = await self.live(0)
        told = [await process.stdout.readline() for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        rest, errors = await process.communicate()
        assert process.returncode == -signal.SIGKILL, errors.decode()
        whole = rest.rpartition(b"\n")[0].split(b"\n")
        self.last = max([self.last, *(int(line) for line in (*told, *whole) if line.strip())])

    async def end(self):
        process = await self.live(LAST)
        try:
            _, errors = await process.communicate()
        finally:
            if process.returncode is None:  # it did not end in time, and must not outlive us
                process.kill()
        assert process.returncode == 0, errors.decode()
        self.last += LAST


@pytest.mark.skipif(sys.platform == "win32", reason="not on Linux: there is no SIGKILL there")
async def test_a_kill_loses_no_alert_and_tells_none_in_two_notices(tmp_path):
    rng = random.Random(11)
    notices = defaultdict(list)  # by id: what each delivery of it held

    async def hook(request):
        body = await request.json()
        await asyncio.sleep(rng.uniform(0, 0.004))
        if rng.random() < 0.2:
            return web.Response(status=503)
        said = [(each["state"], int(each["id"].rpartition("/")[2])) for each in body["alerts"]]
        notices[body["id"]].append(tuple(said))
        return web.Response()

    application = web.Application()
    application.router.add_post("/hook", hook)
    async with TestServer(application) as server, asyncio.timeout(300):
        life = Life(tmp_path, str(server.make_url("/hook")))
        for _ in range(KILLS):
            await life.killed_after(rng.randint(1, 30))
        await life.end()

    told = [each for deliveries in notices.values() for said in set(deliveries) for each in said]
    fired, over = (sorted(n for state, n in told if state == s) for s in ("firing", "resolved"))
    assert max(fired) >= life.last
    assert fired == list(range(1, max(fired) + 1))
    assert over == list(range(1, max(fired) - LENGTH + 1))
    # The answer to an attempt may die with the process; the notice then comes again, as the same.
    again = sum(len(deliveries) - 1 for deliveries in notices.values())
    assert again <= KILLS
