"""The command's side of the control socket: one connection, one request, one answer."""

from __future__ import annotations

import errno
import os
import socket
from typing import TYPE_CHECKING, Any, Final

import attrs

from trio_gossip.cli.control_socket import check_path, peer_uid
from trio_gossip.cli.control_wire import (
    DONE,
    ERROR,
    ROW,
    ROWS_MAX,
    VERSION,
    ControlWireError,
    Frames,
    pack,
)
from trio_gossip.cli.problems import BadInputError, describe_os_error, in_one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trio_gossip.cli.control_wire import Row

ANSWER_SECONDS: Final = 300.0
"""How long an agent may take until the next bytes of its answer. A change of keys asks every
member of the cluster, and some of them may be slow."""

_READ_BYTES: Final = 65_536
_REASONS: Final = {
    errno.ENOENT: "there is no such socket; was the agent started with --control?",
    errno.ECONNREFUSED: "no agent listens there any more",
    errno.EACCES: "this user may not open it; it is for the agent's user and root",
    errno.EPERM: "this user may not open it; it is for the agent's user and root",
    errno.ENOTSOCK: "it is no socket",
}


@attrs.frozen
class Answer:
    """What an agent said.

    Attributes:
        rows: what it has found.
        error: why it could not do what it was asked; None when it did.
    """

    rows: tuple[Row, ...]
    error: str | None = None


class _VersionError(ControlWireError):
    """An agent that is older or newer than this command."""


def ask(path: str, *request: Any) -> Answer:
    """Ask an agent and wait for its whole answer.

    Args:
        path: of its control socket.
        request: the command and its arguments.

    Raises:
        BadInputError: no agent of this version listens there, or it went away meanwhile. What
            was asked may have been done.
    """
    check_path(path)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(ANSWER_SECONDS)
            connection.connect(path)
            _check_peer(path, connection)
            connection.sendall(pack(*request))
            return _collect(_frames(connection))
    except _VersionError as error:
        raise BadInputError(f"--control {path}: {error}") from error
    except ControlWireError as error:
        told = f"what listens there does not speak as an agent does ({error})"
        raise BadInputError(f"--control {path}: {told}") from error
    except TimeoutError as error:
        raise BadInputError(f"--control {path}: the agent does not answer") from error
    except OSError as error:
        told = _REASONS.get(error.errno or 0) or describe_os_error(error)
        raise BadInputError(f"--control {path}: {told}") from error


def _check_peer(path: str, connection: socket.socket) -> None:
    """A request may hold a key: it is not for whoever put a socket of this name into a folder."""
    uid = peer_uid(connection)
    if uid is not None and os.geteuid() != 0 and uid not in (os.geteuid(), 0):
        raise BadInputError(f"--control {path}: another user listens there")


def _frames(connection: socket.socket) -> Iterator[list[Any]]:
    frames = Frames()
    while True:
        found = frames.next_untrusted()
        if found is not None:
            yield found
            continue
        data = connection.recv(_READ_BYTES)
        if not data:
            raise ConnectionResetError(errno.ECONNRESET, "the agent ended before it had answered")
        frames.feed_untrusted(data)


def _collect(frames: Iterator[list[Any]]) -> Answer:
    rows: list[Row] = []
    for version, *items in frames:
        match items:
            case _ if version != VERSION:
                told = f"the agent speaks version {version} of the control protocol"
                raise _VersionError(f"{told}, this command version {VERSION}")
            case [str(kind), *values] if kind == ROW and len(rows) < ROWS_MAX:
                rows.append(values)
            case [str(kind)] if kind == DONE:
                return Answer(tuple(rows))
            case [str(kind), str(text)] if kind == ERROR:
                return Answer(tuple(rows), in_one_line(text))
            case _:
                raise ControlWireError("an array that has no place in an answer")
    raise AssertionError("the end of a connection raises")
