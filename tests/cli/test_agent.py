"""Real agents on loopback: what they print, what they take from standard input, how they end."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess

import pytest
import trio

from tests.cli.processes import agent, running
from trio_gossip.cli.signals import TOGETHER_SECONDS

pytestmark = pytest.mark.sockets


async def test_two_agents_meet_and_one_says_goodbye():
    async with (
        agent("ann", "--meta", "rack 1") as (ann, address),
        agent("bob", "--join", address, stdin=subprocess.DEVNULL) as (bob, _),
    ):
        result = await bob.event("join_result")
        assert (result["seed"], result["joined"]) == (address, True)
        joined = await ann.member_event("member_joined", "bob")
        assert joined["member"]["state"] == "alive"
        bob.process.send_signal(signal.SIGTERM)
        left = await ann.member_event("member_left", "bob")
        assert (left["member"]["state"], left["reason"]) == ("left", "goodbye")
        assert await bob.end() == 0
        assert (await bob.rest())[-1]["event"] == "left"
        assert bob.errors == b""


async def test_the_first_line_tells_the_bound_address_and_the_member_itself():
    async with agent("ann", "--meta", "rack 1") as (ann, address):
        first = json.loads(ann.lines[0])
        assert first["event"] == "started"
        assert not address.endswith(":0")
        member = first["member"]
        assert (member["name"], member["address"]) == ("ann", address)
        assert (member["state"], member["meta"]) == ("alive", "rack 1")
        assert first["pid"] == ann.process.pid


async def test_a_line_of_standard_input_reaches_the_others_once():
    async with agent("ann") as (ann, address), agent("bob", "--join", address) as (bob, _):
        await ann.member_event("member_joined", "bob")
        await bob.type(b"one\n\nto be contin")
        await bob.type(b"ued\nlast\n")
        found = [await ann.event("message_received") for _ in range(3)]
        assert sorted(each["payload"] for each in found) == ["last", "one", "to be continued"]
        assert {each["sender"] for each in found} == {"bob"}
        ann.process.send_signal(signal.SIGINT)
        assert await ann.end() == 0
        assert not [each for each in await ann.rest() if each["event"] == "message_received"]


async def test_a_long_line_arrives_and_one_that_is_too_long_is_named_and_passed_over():
    async with agent("ann") as (ann, address), agent("bob", "--join", address) as (bob, _):
        await ann.member_event("member_joined", "bob")
        await bob.type(b"x" * 3000 + b"\n" + b"y" * 70_000 + b"\nshort\n")
        found = [(await ann.event("message_received"))["payload"] for _ in range(2)]
        assert sorted(found) == ["short", "x" * 3000]
        await bob.error_line(b"more than 65536")
        (line,) = bob.errors.decode().splitlines()
        assert "a line of more than 65536 bytes is too long" in line


async def test_the_end_of_standard_input_does_not_end_the_agent():
    async with agent("ann") as (ann, address), agent("bob", "--join", address) as (bob, _):
        assert bob.process.stdin is not None
        await bob.type(b"last words")
        await bob.process.stdin.aclose()
        assert (await ann.event("message_received"))["payload"] == "last words"
        await ann.type(b"still there?\n")
        assert (await bob.event("message_received"))["payload"] == "still there?"


async def test_with_leave_at_eof_the_end_of_standard_input_is_a_goodbye():
    async with (
        agent("ann") as (ann, address),
        agent("bob", "--leave-at-eof", "--join", address) as (bob, _),
    ):
        await ann.member_event("member_joined", "bob")
        assert bob.process.stdin is not None
        await bob.type(b"last words")
        await bob.process.stdin.aclose()
        assert (await ann.event("message_received"))["payload"] == "last words"
        await ann.member_event("member_left", "bob")
        assert await bob.end() == 0


LINES = 2000
"""More than the queue of broadcasts holds."""


async def test_a_file_as_standard_input_is_broadcast_whole(tmp_path):
    """Read as fast as it can be, its first lines would be pushed out of the queue."""
    path = tmp_path / "lines"
    path.write_text("".join(f"line {number}\n" for number in range(LINES)))
    async with agent("ann") as (ann, address):
        with path.open("rb") as lines:
            async with agent("bob", "--join", address, stdin=lines):
                found = {(await ann.event("message_received"))["payload"] for _ in range(LINES)}
    assert found == {f"line {number}" for number in range(LINES)}


async def test_a_long_file_as_the_input_of_an_agent_alone_is_read_to_its_end(tmp_path):
    """It once waited for ever for somebody to take its first 256 lines, and never left."""
    path = tmp_path / "lines"
    path.write_text("".join(f"line {number}\n" for number in range(LINES)))
    with path.open("rb") as lines:
        async with agent("ann", "--leave-at-eof", stdin=lines) as (ann, _):
            await ann.event("left")
            assert await ann.end() == 0
            assert ann.errors.count(b"\n") == 1
            assert b"no other member is here" in ann.errors


async def test_a_standard_input_that_is_closed_is_no_trouble():
    def close() -> None:
        os.close(0)

    async with agent("ann", stdin=None, preexec_fn=close) as (ann, _):
        ann.process.send_signal(signal.SIGTERM)
        assert await ann.end() == 0
        assert ann.errors == b""


async def test_a_terminal_as_standard_input_works_like_a_pipe():
    ours, theirs = os.openpty()
    try:
        async with (
            agent("ann") as (ann, address),
            agent("bob", "--join", address, stdin=theirs) as (bob, _),
        ):
            await ann.member_event("member_joined", "bob")
            os.write(ours, b"typed\n")
            assert (await ann.event("message_received"))["payload"] == "typed"
            bob.process.send_signal(signal.SIGINT)
            assert await bob.end() == 0
    finally:
        os.close(ours)
        os.close(theirs)


async def test_a_seed_that_refuses_is_a_warning_and_the_agent_goes_on():
    async with agent("ann") as (_, address):
        pass  # nobody listens there any more
    async with agent("bob", "--join", address) as (bob, _):
        result = await bob.event("join_result")
        assert (result["seed"], result["joined"]) == (address, False)
        await bob.error_line(f"seed {address} cannot be joined now".encode())
        assert bob.errors.count(b"\n") == 1
        bob.process.send_signal(signal.SIGTERM)
        assert await bob.end() == 0


async def test_a_second_signal_stops_at_once():
    """The seed has been killed, so that the goodbye waits for an answer until the second signal."""
    async with agent("ann") as (ann, address):
        options = ["agent", "--name", "bob", "--bind", "127.0.0.1:0", "--profile", "wan"]
        async with running(*options, "--json", "--join", address) as bob:
            await bob.member_event("member_joined", "ann")
            ann.process.kill()
            await ann.end()
            bob.process.send_signal(signal.SIGTERM)
            await bob.member_event("member_left", "bob")  # it is leaving
            await trio.sleep(1.5 * TOGETHER_SECONDS)  # what is sent sooner counts as the first one
            bob.process.send_signal(signal.SIGINT)
            assert await bob.end() == 1
            assert "left" not in {each["event"] for each in await bob.rest()}
            assert b"Traceback" not in bob.errors


async def test_a_reader_that_goes_away_ends_the_agent_quietly():
    async with agent("ann") as (ann, address), agent("bob", "--join", address) as (bob, _):
        await ann.member_event("member_joined", "bob")
        assert bob.process.stdout is not None
        await bob.process.stdout.aclose()
        await ann.type(b"this cannot be printed\n")
        await ann.member_event("member_left", "bob")
        assert await bob.end() == 1
        assert bob.errors == b""


async def test_a_standard_output_that_is_closed_is_one_line():
    options = ["agent", "--name", "ann", "--bind", "127.0.0.1:0"]
    async with running(*options, stdout=None, preexec_fn=lambda: os.close(1)) as ann:
        assert await ann.end() == 1
        await ann.error_line(b"cannot write to standard output: it is closed")
        assert ann.errors.count(b"\n") == 1


async def test_a_terminal_that_closes_is_a_goodbye():
    async with agent("ann") as (ann, address), agent("bob", "--join", address) as (bob, _):
        await ann.member_event("member_joined", "bob")
        bob.process.send_signal(signal.SIGHUP)
        await ann.member_event("member_left", "bob")
        assert await bob.end() == 0


async def test_an_agent_started_with_nohup_survives_its_terminal():
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    async with (
        agent("ann") as (ann, address),
        agent("bob", "--join", address, preexec_fn=ignore) as (bob, _),
    ):
        await ann.member_event("member_joined", "bob")
        bob.process.send_signal(signal.SIGHUP)
        await bob.type(b"still here\n")
        assert (await ann.event("message_received"))["payload"] == "still here"


async def test_a_full_disk_is_one_line():
    full = os.open("/dev/full", os.O_WRONLY)
    options = ["agent", "--name", "ann", "--bind", "127.0.0.1:0"]
    async with running(*options, stdout=full) as ann:
        os.close(full)
        assert await ann.end() == 1
        await ann.error_line(b"cannot write to standard output: no space left on device")
        assert ann.errors.count(b"\n") == 1


async def test_an_agent_whose_output_nobody_reads_still_leaves_gracefully():
    """Written from the trio thread, a full pipe would freeze the protocol and the signals."""
    async with agent("ann") as (ann, address), agent("bob", "--join", address) as (bob, _):
        await ann.member_event("member_joined", "bob")
        fcntl.fcntl(bob.process.stdout.fileno(), fcntl.F_SETPIPE_SZ, 4096)
        for number in range(64):
            await ann.type(b"%d" % number + b"x" * 1000 + b"\n")
        await bob.type(b"all sent, and read by you before this\n")
        await ann.event("message_received")
        bob.process.send_signal(signal.SIGTERM)
        await ann.member_event("member_left", "bob")
        assert await bob.end() == 0


async def test_without_json_the_lines_are_for_people():
    options = ["agent", "--name", "ann", "--bind", "127.0.0.1:0", "--leave-at-eof"]
    async with running(*options) as ann:
        line = await ann.line()
        assert "started" in line
        assert "ann listens at 127.0.0.1:" in line
        ann.process.send_signal(signal.SIGINT)
        assert "member_left" in await ann.line()
        assert "goodbye acknowledged by 0" in await ann.line()
        assert await ann.end() == 0


async def test_debug_lines_go_to_standard_error():
    options = ["--log-level", "debug", "agent", "--name", "ann", "--bind", "127.0.0.1:0"]
    async with running(*options, "--json", "--join", "127.0.0.1:9") as ann:
        await ann.event("join_result")
        await ann.error_line(b"DEBUG trio_gossip")
