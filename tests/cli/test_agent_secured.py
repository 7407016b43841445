"""Real agents with keys, certificates and control sockets, changed while they run."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio

from tests.cli.certificate_files import issued, write_member
from tests.cli.processes import agent, run_to_end, running
from trio_gossip_transports import Keyring

pytestmark = pytest.mark.sockets


async def command(*words, **more):
    """Run a command to its end."""
    return await trio.to_thread.run_sync(lambda: run_to_end(*map(str, words), **more))


async def done(*words, **more):
    """Run a command that prints an object and succeeds; returns the object."""
    result = await command(*words, "--json", **more)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return json.loads(result.stdout)


def fingerprints(path):
    return [key.fingerprint for key in Keyring.load(path).list()]


@asynccontextmanager
async def three(tmp_path):
    """Agents a, b, c with one key, each with a certificate and a control socket."""
    first = await command("keygen", "--out", tmp_path / "first.keys")
    assert first.returncode == 0, first.stderr
    async with AsyncExitStack() as stack:
        agents, address = [], None
        for name in "abc":
            ring = tmp_path / f"{name}.keys"
            ring.write_bytes((tmp_path / "first.keys").read_bytes())
            ring.chmod(0o600)
            files = write_member(tmp_path, name)
            options = ["--keyring", ring, "--label", "test", "--control", tmp_path / f"{name}.sock"]
            options += ["--tls-cert", files.certificate, "--tls-key", files.key]
            options += ["--tls-ca", files.ca, *(["--join", address] if address else [])]
            run, bound = await stack.enter_async_context(agent(name, *map(str, options)))
            agents.append(run)
            address = address or bound
            for earlier in agents[:-1]:
                await earlier.member_event("member_joined", name)
        yield agents


async def test_the_keys_of_a_cluster_are_changed_from_the_command_line(tmp_path):
    async with three(tmp_path) as (a, b, c):
        (old,) = fingerprints(tmp_path / "a.keys")
        made = await command("keygen")
        sockets = {name: ("--control", tmp_path / f"{name}.sock") for name in "abc"}

        async def check(expected, report):
            assert report["error"] is None
            members = report["members"]
            assert {each["name"]: each["keys"] for each in members} == dict.fromkeys(
                "abc", expected
            )
            assert [fingerprints(tmp_path / f"{name}.keys") for name in "abc"] == [expected] * 3

        await check([old], await done("keys", "list", *sockets["a"]))
        # The key comes through a pipe: an argument would be seen by every user.
        (tmp_path / "new.keys").write_text(made.stdout)
        with (tmp_path / "new.keys").open() as pipe:
            report = await done("keys", "install", "-", *sockets["a"], stdin=pipe)
        (new,) = {each for member in report["members"] for each in member["keys"]} - {old}
        await check([old, new], report)

        too_soon = await command("keys", "remove", old, *sockets["b"])
        assert too_soon.returncode == 1
        assert "refused, nothing was changed" in too_soon.stderr
        assert too_soon.stderr.count("\n") == 1

        await check([new, old], await done("keys", "use", new, *sockets["b"]))
        await check([new], await done("keys", "remove", old, *sockets["c"]))

        # They still talk, under the new key, by packets and streams.
        await a.type(b"still here\n")
        for other in (b, c):
            assert (await other.event("message_received"))["payload"] == "still here"
        found = await done("members", *sockets["c"])
        assert [each["state"] for each in found["members"]] == ["alive"] * 3
        for run in (a, b, c):
            assert made.stdout.strip().encode() not in run.errors
            seen = {json.loads(line)["event"] for line in run.lines}
            assert not seen & {"member_suspected", "member_failed"}


async def test_certificates_are_reloaded_and_a_goodbye_is_asked_for(tmp_path):
    files = write_member(tmp_path, "a")
    tls = ["--tls-cert", files.certificate, "--tls-key", files.key, "--tls-ca", files.ca]
    path = tmp_path / "a.sock"
    async with agent("a", *tls, "--control", str(path)) as (a, address):
        told = await done("info", "--control", path)
        assert told["member"]["name"] == "a"
        assert told["bound"] == address
        assert told["pid"] == a.process.pid
        write_member(tmp_path, "a", leaf=issued("a", last=99))
        until = (await done("reload", "--control", path))["until"]
        assert until > told["security"]["certificate_until"]
        write_member(tmp_path, "a", leaf=issued("a", first=-9, last=-1))
        expired = await command("reload", "--control", path)
        assert expired.returncode == 1
        assert "it has expired" in expired.stderr
        assert (await done("leave", "--control", path)) == {"acked": 0}
        assert await a.end() == 0
        assert (await a.rest())[-1]["event"] == "left"
        assert not path.exists()


async def test_a_cluster_lives_without_udp(tmp_path):
    options = {}
    for name in "ab":
        files = write_member(tmp_path, name)
        options[name] = ["--tls-cert", files.certificate, "--tls-key", files.key]
        options[name] += ["--tls-ca", files.ca, "--tls-packets"]
    control = ["--control", str(tmp_path / "a.sock")]
    async with (
        agent("a", *options["a"], *control) as (a, address),
        agent("b", *options["b"], "--join", address) as (b, _),
    ):
        await a.member_event("member_joined", "b")
        await b.type(b"hello\n")
        assert (await a.event("message_received"))["payload"] == "hello"
        told = await done("info", *control)
        assert told["security"]["tls_packets"] is True
        assert told["statistics"]["transport"]["inner"]["packets_sent"] == 0


async def test_the_socket_goes_with_the_agent_and_a_dead_one_s_is_replaced(tmp_path):
    path = tmp_path / "a.sock"
    async with agent("a", "--control", str(path)) as (a, _):
        a.process.kill()
        await a.end()
    assert path.is_socket()
    async with agent("a", "--control", str(path)) as (a, _):
        assert len((await done("members", "--control", path))["members"]) == 1
        a.process.send_signal(signal.SIGTERM)
        assert await a.end() == 0
    assert not path.exists()


async def test_a_second_agent_cannot_take_the_socket_of_the_first(tmp_path):
    path = tmp_path / "a.sock"
    async with agent("a", "--control", str(path)):
        again = ["agent", "--name", "b", "--bind", "127.0.0.1:0", "--control", path]
        result = await command(*again)
        assert result.returncode == 2
        assert result.stderr == f"trio-gossip: --control {path}: another process listens there\n"
        assert (await done("members", "--control", path))["members"][0]["name"] == "a"


def test_an_agent_that_cannot_start_leaves_no_socket(tmp_path):
    path = tmp_path / "a.sock"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = run_to_end("agent", "--name", "a", "--bind", address, "--control", str(path))
    assert result.returncode == 2
    assert list(tmp_path.iterdir()) == []


async def test_an_agent_with_another_key_stays_outside_and_says_why(tmp_path):
    for name in "ab":
        assert run_to_end("keygen", "--out", str(tmp_path / name)).returncode == 0
    async with agent("a", "--keyring", str(tmp_path / "a")) as (a, address):
        options = ["agent", "--json", "--name", "b", "--bind", "127.0.0.1:0", "--join", address]
        options += ["--keyring", str(tmp_path / "b")]
        async with running(*options, stdin=subprocess.DEVNULL) as b:
            result = await b.event("join_result")
            assert result["joined"] is False
            await a.error_line(b"seals with a key that is not on our keyring")
            await b.error_line(f"{address} does not know our key".encode())
