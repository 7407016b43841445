"""The commands that ask an agent: what they print, and how they end."""

from __future__ import annotations

import json
from functools import partial

import pytest
import trio
from click.testing import CliRunner

from tests.cli.control_helpers import serving
from trio_gossip.cli.commands import commands
from trio_gossip.cli.control_server import RequestError
from trio_gossip.cli.control_wire import rows_of
from trio_gossip_transports import Key

pytestmark = pytest.mark.sockets

MEMBERS = [
    ("bob", "10.0.0.2:7946", "failed", 8, b""),
    ("ann", "10.0.0.1:7946", "alive", 7, b"rack \x1b 1"),
    ("cat", "10.0.0.3:7946", "suspect", 9, b"\xff"),
]
KEYS = [("bob", True, "", "11111111", "22222222"), ("ann", False, "no answer")]
INFO = {
    "member": {"name": "ann", "address": "10.0.0.1:7946", "state": "alive", "incarnation": 7},
    "bound": "0.0.0.0:7946",
    "profile": "lan",
    "version": "1.2",
    "pid": 77,
    "uptime": 7200.0,
    "health_score": 1,
    "members": {"active": 2, "known": 3},
    "security": {"sealed": False, "tls": False},
    "statistics": {"engine": {"counters": {"stalled": 3}, "active": 2}, "streams": 0},
    "control": {"control_requests": 1},
}


class Made:
    """An agent that gives one answer and remembers what it was asked."""

    def __init__(self, rows=(), error=None):
        self.rows = rows
        self.error = error
        self.asked = []

    async def answer(self, command, arguments):
        await trio.lowlevel.checkpoint()
        self.asked.append([command, *arguments])
        if self.error is not None:
            raise RequestError(self.error, self.rows)
        return self.rows

    async def run(self, path, *words, given=None):
        """Run a command against it; ``--control`` is added."""
        words = [*words, "--control", str(path)]
        async with serving(path, self.answer):
            with trio.fail_after(60):
                run = partial(CliRunner().invoke, commands, words, input=given)
                return await trio.to_thread.run_sync(run)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.sock"


async def test_members_are_a_table(path):
    result = await Made(MEMBERS).run(path, "members")
    assert result.stdout.splitlines() == [
        "name  address        state    meta",
        "ann   10.0.0.1:7946  alive    rack \\x1b 1",
        "bob   10.0.0.2:7946  failed",
        "cat   10.0.0.3:7946  suspect  \\xff",
        "",
        "2 of 3 members are here",
    ]
    assert (result.exit_code, result.stderr) == (0, "")


async def test_members_as_an_object(path):
    result = await Made(MEMBERS).run(path, "members", "--json")
    found = json.loads(result.stdout)["members"]
    assert found[0] == {
        "name": "bob",
        "address": "10.0.0.2:7946",
        "state": "failed",
        "incarnation": 8,
        "meta": "",
    }
    assert found[2]["meta_base64"] == "/w=="


async def test_info_is_columns_and_what_is_not_zero(path):
    agent = Made(list(rows_of(INFO)))
    result = await agent.run(path, "info")
    assert agent.asked == [["info"]]
    assert result.stdout.splitlines() == [
        "name          ann, alive",
        "address       10.0.0.1:7946, listens at 0.0.0.0:7946",
        "members       2 of 3 are here",
        "health score  1",
        "up for        2.0 h",
        "process       77, trio-gossip 1.2",
        "profile       lan",
        "sealing       none",
        "TLS           none",
        "",
        "engine.counters.stalled  3",
        "engine.active            2",
        "control_requests         1",
    ]
    again = await Made(list(rows_of(INFO))).run(path, "info", "--json")
    assert json.loads(again.stdout) == INFO


@pytest.mark.parametrize(
    ("security", "sealing", "tls"),
    [
        (
            {"sealed": True, "tls": True, "keys": ["aa", "bb", "cc"], "label": "prod"},
            "with key aa; bb cc open as well; label prod",
            "streams; certificate of ? until None",
        ),
        (
            {
                "sealed": True,
                "tls": True,
                "keys": ["aa"],
                "label": "",
                "send_plain": True,
                "accept_plain": True,
                "tls_packets": True,
                "certificate_names": ["a", "a.example"],
                "certificate_until": "2030-01-01",
            },
            "with key aa; sends in plain; takes what is plain",
            "packets and streams; certificate of a a.example until 2030-01-01",
        ),
    ],
)
async def test_info_tells_what_protects_it(path, security, sealing, tls):
    result = await Made(list(rows_of(INFO | {"security": security}))).run(path, "info")
    assert f"sealing       {sealing}\n" in result.stdout
    assert f"TLS           {tls}\n" in result.stdout


async def test_info_of_an_agent_that_tells_little_is_no_error(path):
    result = await Made().run(path, "info")
    assert result.exit_code == 0
    assert "up for        ?" in result.stdout


async def test_leave_and_reload_say_what_was_done(path):
    for words, rows, line, found in [
        (["leave"], [("acked", 2)], "goodbye acknowledged by 2 of the others", {"acked": 2}),
        (["reload"], [("until", "x")], "certificates reloaded; good until x", {"until": "x"}),
    ]:
        agent = Made(rows)
        assert (await agent.run(path, *words)).stdout == f"{line}\n"
        assert json.loads((await agent.run(path, *words, "--json")).stdout) == found
        assert agent.asked == [words, words]


async def test_keys_are_a_table_and_one_that_did_not_answer_is_a_failure(path):
    result = await Made(KEYS).run(path, "keys", "list")
    assert result.stdout.splitlines() == [
        "name  ok   keys               error",
        "ann   no   ?                  no answer",
        "bob   yes  11111111 22222222",
    ]
    assert result.exit_code == 1
    assert (await Made(KEYS[:1]).run(path, "keys", "list")).exit_code == 0


async def test_a_change_that_is_refused_shows_who_and_why(path):
    result = await Made(KEYS, "refused: ann").run(path, "keys", "use", "11111111")
    assert "no answer" in result.stdout
    assert (result.exit_code, result.stderr) == (1, "trio-gossip: refused: ann\n")
    result = await Made(KEYS, "refused: ann").run(path, "keys", "use", "11111111", "--json")
    found = json.loads(result.stdout)
    assert (found["operation"], found["error"]) == ("use", "refused: ann")
    assert found["members"][1] == {"name": "ann", "ok": False, "error": "no answer", "keys": []}
    assert result.exit_code == 1


async def test_an_error_without_anything_to_show_is_one_line(path):
    for words in (["members"], ["info"], ["leave"], ["reload"], ["keys", "list"]):
        result = await Made(error="not\x1b now").run(path, *words)
        assert result.stdout == ""
        assert (result.exit_code, result.stderr) == (1, "trio-gossip: not\\x1b now\n")


async def test_a_new_key_comes_from_a_file_or_standard_input(path, tmp_path):
    key, file = Key.generate(), tmp_path / "new"
    file.write_text(key.text)
    file.chmod(0o600)
    agent = Made(KEYS[:1])
    results = [
        await agent.run(path, "keys", "install", str(file)),
        await agent.run(path, "keys", "install", "-", given=key.text),
    ]
    assert agent.asked == [["keys", "install", key.secret]] * 2
    for result in results:
        assert result.exit_code == 0
        assert key.text not in result.output


async def test_keys_are_named_by_their_ids(path):
    agent = Made(KEYS[:1])
    await agent.run(path, "keys", "use", "ABCDEF01")
    await agent.run(path, "keys", "remove", "abcdef01")
    await agent.run(path, "keys", "remove", "--leaked", "abcdef01")
    assert agent.asked == [
        ["keys", "use", "abcdef01"],
        ["keys", "remove", "abcdef01", False],
        ["keys", "remove", "abcdef01", True],
    ]


@pytest.mark.parametrize("operation", ["use", "remove"])
def test_a_key_as_an_argument_is_refused_and_not_repeated(path, operation):
    key = Key.generate().text
    result = CliRunner().invoke(commands, ["keys", operation, key, "--control", str(path)])
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert "eight hexadecimal digits" in result.stderr
    assert key not in result.stderr
