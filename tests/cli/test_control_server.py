"""The agent's side of the control socket: what it answers, whom it turns away, what it counts."""

from __future__ import annotations

import errno
import logging
from contextlib import suppress

import cbor2
import pytest
import trio

from tests.cli.control_helpers import ask_it, connect, echo, read_all, serving, wait_until
from trio_gossip.cli import control_server as module
from trio_gossip.cli.control_client import Answer
from trio_gossip.cli.control_server import (
    ANSWER_SECONDS,
    CONNECTIONS_MAX,
    REQUEST_SECONDS,
    ControlStatistics,
    RequestError,
)
from trio_gossip.cli.control_wire import DONE, ERROR, ROW, VERSION, pack

pytestmark = pytest.mark.sockets


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.sock"


async def test_a_request_is_answered(path):
    async with serving(path) as server:
        assert await ask_it(path, "keys", "list", 7, True) == Answer((["keys", "list", 7, True],))
        assert server.statistics().control_requests == 1
        await wait_until(lambda: server.statistics().control_connections == 0)
        assert server.statistics() == ControlStatistics(control_requests=1)


async def test_a_connection_may_ask_again_and_in_pieces(path):
    async with serving(path), await connect(path) as stream:
        for byte in pack("one") + pack("two")[:5]:
            await stream.send_all(bytes([byte]))
        await stream.send_all(pack("two")[5:])
        await stream.send_eof()
        assert await read_all(stream) == [
            [VERSION, ROW, "one"],
            [VERSION, DONE],
            [VERSION, ROW, "two"],
            [VERSION, DONE],
        ]


async def test_requests_sent_at_once_are_answered_one_after_the_other(path):
    async with serving(path), await connect(path) as stream:
        await stream.send_all(pack("one") + pack("two"))
        await stream.send_eof()
        answers = await read_all(stream)
        assert [items[2] for items in answers if items[1] == ROW] == ["one", "two"]


async def test_a_long_answer_comes_whole_and_lets_others_run(path):
    turns = 0

    async def many(_, __):
        return ((number,) for number in range(5_000))

    async def count():
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with serving(path, many), trio.open_nursery() as nursery:
        nursery.start_soon(count)
        answer = await ask_it(path, "members")
        nursery.cancel_scope.cancel()
    assert answer.rows == tuple([number] for number in range(5_000))
    assert turns > 5_000 / 64


async def test_a_refused_request_has_its_rows_and_its_reason(path):
    async def refuse(_, __):
        raise RequestError("it cannot be done", [("b", 1)])

    async with serving(path, refuse):
        assert await ask_it(path, "keys") == Answer((["b", 1],), "it cannot be done")


async def test_a_bug_in_an_answer_is_logged_and_the_agent_lives(path, caplog):
    async def fail(_, __):
        raise ZeroDivisionError

    async with serving(path, fail) as server:
        answer = await ask_it(path, "info\x1b")
        assert answer.error == "the agent failed to answer; its log says more"
        assert (await ask_it(path, "info")).error is not None
        assert server.statistics().control_failed == 2
    assert "the control request info\\x1b failed" in caplog.text


async def test_a_bug_in_the_middle_of_an_answer_is_too(path, caplog):
    async def fail(_, __):
        return (1 // each for each in (1, 0))

    async with serving(path, fail) as server, await connect(path) as stream:
        await stream.send_all(pack("info"))
        assert await read_all(stream) == []
        assert server.statistics().control_failed == 1
    assert "a control connection failed" in caplog.text


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "a frame of 1195725856 bytes"),
        (b"\0\0\0\x01\x80", "no flat CBOR array"),
        (pack(), "it has no command"),
        (pack(7), "it has no command"),
    ],
)
async def test_garbage_is_answered_with_one_line_and_the_end(path, data, part):
    async with serving(path) as server, await connect(path) as stream:
        await stream.send_all(data)
        ((version, kind, text),) = await read_all(stream)
        assert (version, kind) == (VERSION, ERROR)
        assert text.startswith("that is no request: ")
        assert part in text
        await wait_until(lambda: server.statistics().control_connections == 0)
        assert server.statistics() == ControlStatistics(control_garbage=1)


async def test_a_request_of_another_version_is_told_which_one_this_is(path):
    async with serving(path) as server, await connect(path) as stream:
        body = cbor2.dumps([VERSION + 1, 7])
        await stream.send_all(len(body).to_bytes(4, "big") + body)
        await stream.send_eof()
        ((*_, text),) = await read_all(stream)
        assert text == "this agent speaks version 1 of the control protocol, not 2"
        assert server.statistics().control_requests == 0


async def test_a_connection_that_says_nothing_is_closed(path, autojump_clock):
    async with serving(path) as server, await connect(path) as stream:
        start = trio.current_time()
        assert await read_all(stream) == []
        assert trio.current_time() - start == pytest.approx(REQUEST_SECONDS)
        assert server.statistics().control_timed_out == 1


async def test_one_byte_a_second_does_not_keep_a_connection_open(path, autojump_clock):
    async def trickle(stream):
        with suppress(trio.BrokenResourceError):
            for byte in pack("x" * 100):
                await stream.send_all(bytes([byte]))
                await trio.sleep(1)

    async with serving(path) as server, await connect(path) as stream:
        start = trio.current_time()
        await trickle(stream)
        assert trio.current_time() - start == pytest.approx(REQUEST_SECONDS, abs=2)
        assert server.statistics().control_timed_out == 1


async def test_a_reader_that_does_not_read_is_given_up(path, autojump_clock):
    async def endless(_, __):
        return iter(lambda: ("x" * 500,), None)

    async with serving(path, endless) as server, await connect(path) as stream:
        start = trio.current_time()
        await stream.send_all(pack("members"))
        await wait_until_timed_out(server)
        assert trio.current_time() - start == pytest.approx(ANSWER_SECONDS, abs=1)


async def wait_until_timed_out(server):
    with trio.fail_after(600):
        while not server.statistics().control_timed_out:
            await trio.sleep(0.5)


async def test_one_connection_too_many_is_told_so(path):
    async with serving(path) as server:
        streams = [await connect(path) for _ in range(CONNECTIONS_MAX)]
        for stream in streams:  # each is served
            await stream.send_all(pack("hello"))
            assert await stream.receive_some(100)
        answer = await ask_it(path, "members")
        assert answer.error == f"the agent has {CONNECTIONS_MAX} control connections already"
        found = server.statistics()
        assert found.control_refused_busy == 1
        assert found.control_connections == CONNECTIONS_MAX
        for stream in streams:
            await stream.aclose()
        await wait_until(lambda: server.statistics().control_connections == 0)
        assert (await ask_it(path, "members")).error is None


async def test_another_user_is_turned_away(path, monkeypatch):
    uids = [None, 0, 4712, 4711]  # a system that does not tell, root, ourselves, another one
    monkeypatch.setattr(module, "peer_uid", lambda _: uids.pop())
    monkeypatch.setattr(module.os, "geteuid", lambda: 4712)
    async with serving(path) as server:
        async with await connect(path) as stream:
            assert await read_all(stream) == [
                [VERSION, ERROR, "this socket belongs to another user"]
            ]
        assert server.statistics().control_refused_user == 1
        for _ in range(3):
            async with await connect(path) as stream:
                await stream.send_all(pack("members"))
                assert await stream.receive_some(100)
        assert server.statistics().control_refused_user == 1


async def test_a_peer_that_goes_away_is_no_trouble(path):
    begun = trio.Event()

    async def slow(_, __):
        begun.set()
        await trio.lowlevel.checkpoint()
        return [("x" * 500,)] * 5_000

    async with serving(path, slow) as server:
        for request in (b"", b"\0\0", pack("members")):
            stream = await connect(path)
            await stream.send_all(request) if request else None
            await stream.aclose()
        await begun.wait()
        await wait_until(lambda: server.statistics().control_connections == 0)
        assert (await ask_it(path, "members")).error is None
        assert server.statistics().control_failed == 0


class Faulty:
    """A listening socket that fails before it accepts."""

    def __init__(self, inner):
        self._inner = inner
        self._faults = [errno.EMFILE, errno.ECONNABORTED]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._inner.close()

    async def accept(self):
        if self._faults:
            raise OSError(self._faults.pop(), "not now")
        return await self._inner.accept()


async def test_an_accept_that_fails_is_tried_again(path, monkeypatch, autojump_clock):
    real = module.trio.socket.from_stdlib_socket
    monkeypatch.setattr(module.trio.socket, "from_stdlib_socket", lambda sock: Faulty(real(sock)))
    async with serving(path) as server, await connect(path) as stream:
        await stream.send_all(pack("members"))
        assert await stream.receive_some(100)
        assert server.statistics().control_accept_errors == 2


async def test_the_end_closes_what_is_idle_and_finishes_what_is_asked(path):
    asked, finish = trio.Event(), trio.Event()

    async def slow(command, arguments):
        asked.set()
        await finish.wait()
        return await echo(command, arguments)

    async with serving(path, slow) as server, await connect(path) as idle:
        busy = await connect(path)
        await busy.send_all(pack("leave"))
        await asked.wait()
        server.end()
        assert await read_all(idle) == []
        finish.set()
        assert await read_all(busy) == [[VERSION, ROW, "leave"], [VERSION, DONE]]
        await busy.aclose()


async def test_the_end_does_not_wait_for_an_answer_that_takes_long(path, autojump_clock):
    async def never(_, __):
        await trio.sleep_forever()

    async with serving(path, never) as server, await connect(path) as stream:
        await stream.send_all(pack("leave"))
        await trio.testing.wait_all_tasks_blocked()
        start = trio.current_time()
        server.end()
        assert await read_all(stream) == []
        assert trio.current_time() - start == pytest.approx(module.FAREWELL_SECONDS)


async def test_nothing_is_logged_of_what_is_asked(path, caplog):
    caplog.set_level(logging.DEBUG)
    async with serving(path):
        await ask_it(path, "keys", "install", b"very secret")
    assert "secret" not in caplog.text
