import asyncio

from tapewatch.wire.outbox import MAX_FRAMES, Outbox


async def test_frames_within_the_budget_go_out_at_once():
    sent = []
    box = Outbox(5, sent.append)
    for number in range(5):
        assert box.put(b"%d" % number)
    assert sent == [b"0", b"1", b"2", b"3", b"4"]


async def test_frames_beyond_the_budget_wait_and_keep_their_order():
    sent, done = [], asyncio.Event()

    def send(frame):
        sent.append(frame)
        if len(sent) == 300:
            done.set()

    box = Outbox(1000, send)
    box._window._secs = 0.01  # the same budget, a hundred times as often
    box._window._limit = 100
    for number in range(300):
        box.put(b"%d" % number)
    assert len(sent) == 100
    async with asyncio.timeout(60):
        await done.wait()
    assert sent == [b"%d" % number for number in range(300)]


async def test_a_rate_below_one_a_second_still_sends():
    sent = []
    Outbox(0.1, sent.append).put(b"hello")
    assert sent == [b"hello"]


async def test_what_nobody_could_send_is_refused_and_forgotten_with_the_link():
    sent = []
    box = Outbox(1, sent.append)
    assert all(box.put(b"x") for _ in range(MAX_FRAMES + 1))
    assert not box.put(b"one too many")
    box.close()
    assert sent == [b"x"]
    assert box.put(b"y")
    box.close()
