"""What an agent does when it is asked: real members over a network in memory, real files."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import trio

from tests.cli.certificate_files import issued, write_member
from tests.cli.control_helpers import ask_it
from trio_gossip import Config, open_cluster
from trio_gossip.cli.control_requests import KEYS_SHOWN_MAX, Control
from trio_gossip.cli.control_socket import control_socket
from trio_gossip.cli.control_text import key_records, member_records
from trio_gossip.cli.control_wire import tree_from
from trio_gossip.cli.security import Security, SecuritySettings
from trio_gossip.cli.signals import Stop
from trio_gossip.services.key_wire import IDS_MAX
from trio_gossip_transports import Key, Keyring, MemoryNetwork

pytestmark = pytest.mark.sockets


class Agent:
    def __init__(self, path, cluster, control, stop, keyring):
        self.path = path
        self.cluster = cluster
        self.control = control
        self.stop = stop
        self.keyring = keyring

    async def ask(self, *request):
        return await ask_it(self.path, *request)


@asynccontextmanager
async def agent(tmp_path, network, name="a", **settings):
    """A member with a control socket, without the rest of an agent."""
    security = Security(SecuritySettings(**settings), name)
    path, stop = tmp_path / f"{name}.sock", Stop()
    config = Config.local(name=name, meta=b"rack \xff")
    async with security.wrap(network.transport(name)) as transport:
        with control_socket(str(path)) as listening:
            async with open_cluster(config, transport) as cluster, trio.open_nursery() as nursery:
                control = Control(listening, cluster, security, stop, {"bound": "here"})
                nursery.start_soon(control.run)
                yield Agent(path, cluster, control, stop, security.keyring)
                nursery.cancel_scope.cancel()


@asynccontextmanager
async def sealed(tmp_path, *names):
    """Members that share a key, each with a key file of its own."""
    key, network = Key.generate(), MemoryNetwork()
    async with AsyncExitStack() as stack:
        agents = []
        for name in names:
            file = tmp_path / f"{name}.keys"
            Keyring([key]).save(file)
            entered = agent(tmp_path, network, name, keyring=str(file), label=b"prod")
            agents.append(await stack.enter_async_context(entered))
            await agents[-1].cluster.join([str(agents[0].cluster.local.address)])
        with trio.fail_after(60):
            for one in agents:
                for name in names:
                    await one.cluster.wait_member(name)
        yield key, agents


def saved(tmp_path, name):
    return [key.fingerprint for key in Keyring.load(tmp_path / f"{name}.keys").list()]


async def test_members_are_all_that_are_known(tmp_path):
    network = MemoryNetwork()
    async with agent(tmp_path, network, "a") as a, agent(tmp_path, network, "b") as b:
        await a.cluster.join([str(b.cluster.local.address)])
        await b.cluster.wait_member("a")
        await b.cluster.leave()
        with trio.fail_after(60):
            await a.cluster.wait_member("b", state="left")
        records = member_records((await a.ask("members")).rows)
    assert [(each["name"], each["state"]) for each in records] == [("a", "alive"), ("b", "left")]
    assert records[0]["address"] == "a:7946"
    assert records[0]["meta"] == "rack \\xff"
    assert records[0]["meta_base64"] == "cmFjayD/"


async def test_info_tells_who_it_is_and_what_it_counts_and_no_key(tmp_path):
    async with sealed(tmp_path, "a", "b") as (key, (a, _)):
        answer = await a.ask("info")
        tree = tree_from(answer.rows)
        assert (tree["member"]["name"], tree["member"]["state"]) == ("a", "alive")
        assert tree["bound"] == "here"
        assert tree["members"] == {"active": 2, "known": 2}
        assert tree["health_score"] == 0
        assert tree["uptime"] >= 0
        assert tree["security"] == {
            "sealed": True,
            "tls": False,
            "keys": [key.fingerprint],
            "label": "prod",
            "accept_plain": False,
            "send_plain": False,
        }
        statistics = tree["statistics"]
        assert statistics["engine"]["active"] == 2
        assert isinstance(statistics["engine"]["counters"], dict)
        assert statistics["transport"]["inner"]["delivered"] > 0
        assert tree["control"]["control_requests"] == 1
        told = repr(answer)
        assert key.text not in told
        assert repr(key.secret)[2:-1] not in told


async def test_a_member_that_names_more_keys_than_a_row_holds_broke_the_list_of_all(
    tmp_path, monkeypatch
):
    async with sealed(tmp_path, "a", "b") as (_, (a, b)):
        store = b.cluster.keys._store()
        monkeypatch.setattr(store, "ids", lambda: (bytes(4),) * IDS_MAX)
        answer = await a.ask("keys", "list")
        assert answer.error is None
        records = {each["name"]: each for each in key_records(answer.rows)}
        assert len(records["a"]["keys"]) == 1
        assert records["b"]["keys"] == ["00000000"] * KEYS_SHOWN_MAX


async def test_info_of_an_agent_in_plain_says_so(tmp_path):
    async with agent(tmp_path, MemoryNetwork()) as a:
        tree = tree_from((await a.ask("info")).rows)
        assert tree["security"] == {"sealed": False, "tls": False}


async def test_leave_is_answered_when_the_goodbye_is_over(tmp_path):
    async with agent(tmp_path, MemoryNetwork()) as a, trio.open_nursery() as nursery:

        async def leave_when_asked():
            await a.stop.asked.wait()
            a.control.left(3)

        nursery.start_soon(leave_when_asked)
        answer = await a.ask("leave")
        assert answer.rows == (["acked", 3],)
        assert answer.error is None


UNKNOWN = [
    ("wat",),
    ("members", 1),
    ("info", "now"),
    ("leave", None),
    ("keys",),
    ("keys", 7),
    ("reload", b"x"),
]


@pytest.mark.parametrize("request_", UNKNOWN, ids=str)
async def test_a_request_of_no_known_form_is_named_without_its_arguments(tmp_path, request_):
    async with agent(tmp_path, MemoryNetwork()) as a:
        error = (await a.ask(*request_)).error
        assert error == f"this agent knows no request {request_[0]!r} of this form"


async def test_an_unknown_change_of_keys_does_not_repeat_the_key(tmp_path):
    async with sealed(tmp_path, "a") as (_, (a,)):
        for wrong in (("install", "text"), ("steal", b"x"), ("use",), ("remove", "00000000")):
            error = (await a.ask("keys", *wrong)).error
            assert error == f"this agent knows no request 'keys {wrong[0]}' of this form"


async def test_keys_without_a_keyring_are_refused_in_words_of_the_command_line(tmp_path):
    async with agent(tmp_path, MemoryNetwork()) as a:
        error = (await a.ask("keys", "list")).error
        assert error == "this agent was started without --keyring: it has no keys"


async def test_a_whole_rotation_is_in_every_key_file(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    async with sealed(tmp_path, "a", "b") as (old, (a, b)):
        new = Key.generate()
        steps = [
            (a, ("install", new.secret), [old, new]),
            (b, ("use", new.fingerprint), [new, old]),
            (a, ("remove", old.fingerprint, False), [new]),
        ]
        for who, request, expected in steps:
            answer = await who.ask("keys", *request)
            assert answer.error is None
            ids = [key.fingerprint for key in expected]
            for listed in (answer, await b.ask("keys", "list")):
                records = key_records(listed.rows)
                assert [each["name"] for each in records] == ["a", "b"]
                assert all(each["ok"] and each["keys"] == ids for each in records)
            assert saved(tmp_path, "a") == saved(tmp_path, "b") == ids
    assert "asked for a new key through the control socket" in caplog.text
    assert f"asked to use key {new.fingerprint}" in caplog.text
    assert new.text not in caplog.text


async def test_a_change_that_is_refused_says_by_whom(tmp_path):
    async with sealed(tmp_path, "a", "b") as (old, (a, _)):
        answer = await a.ask("keys", "remove", old.fingerprint, True)
        assert "refused, nothing was changed" in answer.error
        assert {each["name"]: each["ok"] for each in key_records(answer.rows)}["a"] is False
        answer = await a.ask("keys", "use", "not an id")
        assert answer.error is not None
        assert saved(tmp_path, "a") == [old.fingerprint]


@pytest.mark.parametrize("leaked", [False, True])
async def test_a_key_that_leaked_has_no_grace(tmp_path, leaked):
    async with sealed(tmp_path, "a") as (old, (a,)):
        new = Key.generate()
        for request in (("install", new.secret), ("use", new.fingerprint)):
            assert (await a.ask("keys", *request)).error is None
        assert (await a.ask("keys", "remove", old.fingerprint, leaked)).error is None
        assert (a.keyring.find_retired(old.id) is None) is leaked


# -- certificates -----------------------------------------------------------------------


async def test_certificates_are_read_again(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    files = write_member(tmp_path, "a", leaf=issued("a", last=5))
    async with agent(tmp_path, MemoryNetwork(), tls=files) as a:
        before = tree_from((await a.ask("info")).rows)
        write_member(tmp_path, "a", leaf=issued("a", "a.example", last=50))
        answer = await a.ask("reload")
        after = tree_from((await a.ask("info")).rows)
    assert before["security"]["certificate_names"] == ["a"]
    assert after["security"]["certificate_names"] == ["a", "a.example"]
    assert answer.rows == (["until", after["security"]["certificate_until"]],)
    assert before["security"]["certificate_until"] < answer.rows[0][1]
    assert after["statistics"]["transport"]["reloads"] == 1
    assert "certificates reloaded" in caplog.text


async def test_files_that_are_wrong_change_nothing(tmp_path):
    files = write_member(tmp_path, "a")
    async with agent(tmp_path, MemoryNetwork(), tls=files) as a:
        write_member(tmp_path, "a", leaf=issued("b"))
        answer = await a.ask("reload")
        assert answer.error == f"--tls-cert {files.certificate}: it names 'b', and not 'a'"
        tree = tree_from((await a.ask("info")).rows)
        assert tree["statistics"]["transport"]["reloads"] == 0
        assert tree["security"]["certificate_names"] == ["a"]


async def test_an_agent_without_certificates_has_nothing_to_reload(tmp_path):
    async with agent(tmp_path, MemoryNetwork()) as a:
        error = (await a.ask("reload")).error
        assert error == "this agent was started without --tls-cert: nothing to reload"
