"""Why a peer could not be reached or would not talk: evidence, never a verdict by itself."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class DialFailure(StrEnum):
    """How an attempt to open or use a stream ended. An input of the engine."""

    REFUSED = "refused"
    """The host answered that nobody listens there: the process is gone, the host is up."""
    TIMED_OUT = "timed_out"
    """Nothing came back in time: the host, the path or the process stalls."""
    RESET = "reset"
    """The connection was made and then broken by the other side."""
    UNREACHABLE = "unreachable"
    """The network said that there is no path to the host."""
    HANDSHAKE = "handshake"
    """The host answered, but not as a member that may talk to us (TLS, keys)."""
    OTHER = "other"


class RefusalReason(IntEnum):
    """What a refusal frame says; the number is the wire value."""

    BUSY = 1
    """Too many exchanges are open; try later."""
    INCOMPATIBLE = 2
    """The two sides share no protocol version."""
    NOT_ADMITTED = 3
    """The admission rule or hook of the peer turned this member away."""
    LEAVING = 4
    """The peer is leaving the cluster."""
    TOO_LARGE = 5
    """More members or bytes than the peer accepts."""
    MALFORMED = 6
    """The peer could not make sense of a frame."""
    WRONG_MEMBER = 7
    """The peer is not the member that was meant."""
    UNKNOWN = 255
    """A reason that this version does not know."""


class Evidence(IntEnum):
    """What is known of a member that does not answer; the number is the wire value.

    Of two findings about one incarnation by one member the higher one is kept: a process that was
    paused may be killed, but a process that is gone comes back with a higher incarnation only.
    """

    SILENT = 0
    """Nothing came back: the host, the path or both kinds of sockets."""
    STALLED = 1
    """The kernel of its host accepts connections, and the process does not answer."""
    REFUSED = 2
    """Its host says that nobody listens there: the process is gone."""
