"""The control socket's file: made so that nobody else can open it, and removed at the end."""

from __future__ import annotations

import errno
import os
import socket
import stat
import struct
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from trio_gossip.cli.problems import BadInputError, describe_os_error

if TYPE_CHECKING:
    from collections.abc import Generator

    import trio

MODE: Final = stat.S_IRUSR | stat.S_IWUSR
"""0600: who may not write to a Unix socket cannot connect to it."""

BACKLOG: Final = 16
"""Connections that wait to be accepted; the system turns further ones away."""

_CREDENTIALS: Final = struct.Struct("3i")
"""Process, user and group of a peer, as Linux gives them."""


@contextmanager
def control_socket(path: str) -> Generator[socket.socket]:
    """Listen at a path for the length of a block; the file is removed after it.

    The file of an agent that has died is replaced. In a folder that others can write to, they
    can remove or replace the file: use one that is yours.

    Raises:
        BadInputError: another agent listens there, there is something that is no socket, or the
            system says no. State: nothing was left there, and what was there is as it was.
    """
    check_path(path)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with listening:
        ours = _bind(listening, path)
        try:
            # Between bind and listen nobody can connect: there is time to look at the mode.
            if stat.S_IMODE(os.lstat(path).st_mode) & ~MODE:
                Path(path).chmod(MODE)
            listening.listen(BACKLOG)
            listening.setblocking(False)
            yield listening
        finally:
            with suppress(OSError):
                if _identity(path) == ours:  # and not that of somebody who has replaced it
                    Path(path).unlink()


def _bind(listening: socket.socket, path: str) -> tuple[int, int]:
    """Make the file; returns what tells it from another file of the same name."""
    # Linux makes the file with the mode of the socket. Other systems look at the umask alone,
    # and chmod follows before anybody can connect.
    with suppress(OSError):
        os.fchmod(listening.fileno(), MODE)
    try:
        try:
            listening.bind(path)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            _remove_stale(path)
            listening.bind(path)
        return _identity(path)
    except BadInputError:
        raise
    except OSError as error:  # Python itself says it of a path beyond the system's 108 bytes
        raise BadInputError(f"--control {path}: {describe_os_error(error)}") from error


def _remove_stale(path: str) -> None:
    """Remove a socket to which nobody listens any more."""
    found = _identity(path)
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise BadInputError(f"--control {path}: it is there already, and it is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # EAGAIN: somebody listens, and is busy
        error = probe.connect_ex(path)
    if error not in (errno.ECONNREFUSED, errno.ENOENT):
        raise BadInputError(f"--control {path}: another process listens there")
    with suppress(FileNotFoundError):
        if _identity(path) == found:
            Path(path).unlink()


def _identity(path: str) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino


def check_path(path: str) -> None:
    """Refuse what the system would cut off, or take for a socket that is no file.

    Raises:
        BadInputError: the path has a zero byte, or is empty.
    """
    if not path or "\0" in path:
        raise BadInputError(f"--control {path}: it is no path of a file")


def peer_uid(connection: socket.socket | trio.socket.SocketType) -> int | None:
    """The user at the other end, as the system knows it; None where it does not tell."""
    option = getattr(socket, "SO_PEERCRED", None)
    if option is None:
        return None
    try:
        data = connection.getsockopt(socket.SOL_SOCKET, option, _CREDENTIALS.size)
    except OSError:  # gone already
        return None
    uid: int = _CREDENTIALS.unpack(data)[1]
    return uid
