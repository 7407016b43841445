"""Commands where no agent answers, or something that is none: always one clear line."""

from __future__ import annotations

import errno
import os
import socket

import cbor2
import pytest
from click.testing import CliRunner

from tests.cli.control_helpers import impostor
from trio_gossip.cli import control_client as module
from trio_gossip.cli.commands import commands
from trio_gossip.cli.control_wire import DONE, ERROR, ROW, pack
from trio_gossip_transports import Key

pytestmark = pytest.mark.sockets


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.sock"


def run_alone(path, *words):
    result = CliRunner().invoke(commands, [*(words or ("members",)), "--control", str(path)])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("trio-gossip: --control ")
    return result.stderr


def test_a_socket_that_is_not_there_is_one_line(path):
    assert "there is no such socket; was the agent started with --control?" in run_alone(path)


def test_the_socket_of_an_agent_that_died_is_one_line(path):
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert "no agent listens there any more" in run_alone(path)


@pytest.mark.parametrize("name", ["x" * 200, "a\0b", ""])
def test_a_path_that_cannot_be_is_one_line(tmp_path, name):
    run_alone(f"{tmp_path}/{name}")


def test_a_file_that_is_no_socket_is_one_line(path):
    path.write_text("precious")
    run_alone(path)
    assert path.read_text() == "precious"


def test_no_permission_is_one_line(path, monkeypatch):
    def forbidden(*_):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(module.socket.socket, "connect", forbidden)
    assert "this user may not open it" in run_alone(path)


def test_an_agent_that_does_not_answer_is_one_line(path, monkeypatch):
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.01)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen()
        assert "the agent does not answer" in run_alone(path)


def framed(*items) -> bytes:
    body = cbor2.dumps([*items])
    return len(body).to_bytes(4, "big") + body


@pytest.mark.parametrize(
    ("reply", "part"),
    [
        (
            framed(2, ERROR, "unknown"),
            "a.sock: the agent speaks version 2 of the control protocol, this command version 1",
        ),
        (b"", "the agent ended before it had answered"),
        (pack(ROW, 1)[:3], "the agent ended before it had answered"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak as an agent does"),
        (pack(), "an array that has no place in an answer"),
        (pack("wat"), "an array that has no place in an answer"),
        (pack(DONE, 1), "an array that has no place in an answer"),
        (pack(ERROR, 1), "an array that has no place in an answer"),
    ],
)
def test_an_answer_that_makes_no_sense_is_one_line(path, reply, part):
    with impostor(path, reply):
        assert part in run_alone(path)


@pytest.mark.parametrize(
    ("words", "row"),
    [
        (["members"], ["only a name"]),
        (["info"], ["value", 9, "a"]),
        (["leave"], []),
        (["keys", "list"], ["ann", "yes"]),
        (["keys", "list"], ["ann", True, "", 7]),
    ],
)
def test_rows_of_another_kind_are_one_line(path, words, row):
    with impostor(path, pack(ROW, *row) + pack(DONE)):
        assert "the agent's answer makes no sense" in run_alone(path, *words)


def test_more_rows_than_any_cluster_has_are_refused(path, monkeypatch):
    monkeypatch.setattr(module, "ROWS_MAX", 3)
    with impostor(path, pack(ROW, 1) * 4 + pack(DONE)):
        assert "no place in an answer" in run_alone(path)


def test_another_user_who_listens_there_gets_no_key(path, tmp_path, monkeypatch):
    """A folder that others can write to may have a socket of theirs under the name of ours."""
    file = tmp_path / "new"
    file.write_text(Key.generate().text)
    file.chmod(0o600)
    monkeypatch.setattr(module, "peer_uid", lambda _: 4711)
    monkeypatch.setattr(module.os, "geteuid", lambda: 4712)
    monkeypatch.setattr(module, "pack", lambda *_: pytest.fail("it was asked all the same"))
    with socket.socket(socket.AF_UNIX) as theirs:
        theirs.bind(str(path))
        theirs.listen()
        assert "another user listens there" in run_alone(path, "keys", "install", str(file))


@pytest.mark.parametrize("words", [["members"], ["info"], ["leave"], ["reload"], ["keys", "list"]])
def test_a_socket_must_be_named(words):
    result = CliRunner().invoke(commands, words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Missing option '--control'" in result.stderr
    assert result.stderr.count("\n") == 1


def test_keys_alone_shows_what_it_can_do():
    result = CliRunner().invoke(commands, ["keys", "--help"])
    assert result.exit_code == 0
    assert "rotation" in result.stdout
