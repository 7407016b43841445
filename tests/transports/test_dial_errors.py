"""Why a dial failed, out of what the operating system or a transport raised."""

from __future__ import annotations

import errno
import socket

import pytest
import trio

from trio_gossip.failures import DialFailure
from trio_gossip.transport import DialError, classify_dial_error


def broken(cause: BaseException | None) -> trio.BrokenResourceError:
    error = trio.BrokenResourceError()
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "refused"), DialFailure.REFUSED),
        (OSError(errno.ECONNRESET, "reset"), DialFailure.RESET),
        (OSError(errno.ETIMEDOUT, "timed out"), DialFailure.TIMED_OUT),
        (OSError(errno.EHOSTUNREACH, "no route"), DialFailure.UNREACHABLE),
        (OSError(errno.EMFILE, "too many files"), DialFailure.OTHER),
        (OSError("no number"), DialFailure.OTHER),
        (socket.gaierror(-2, "unknown"), DialFailure.UNREACHABLE),
        (trio.TooSlowError(), DialFailure.TIMED_OUT),
        (broken(None), DialFailure.RESET),
        (broken(OSError(errno.EPIPE, "pipe")), DialFailure.RESET),
        (broken(OSError(errno.ETIMEDOUT, "late")), DialFailure.TIMED_OUT),
        (DialError(DialFailure.HANDSHAKE, "wrong certificate"), DialFailure.HANDSHAKE),
        (KeyError("x"), DialFailure.OTHER),
    ],
    ids=repr,
)
def test_each_error_has_its_reason(error: BaseException, failure: DialFailure) -> None:
    assert classify_dial_error(error) is failure


def test_a_dial_error_says_why_in_words_as_well() -> None:
    error = DialError(DialFailure.HANDSHAKE, "wrong certificate")
    assert isinstance(error, OSError)
    assert "wrong certificate" in str(error)
