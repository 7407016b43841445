"""Errors. Each says whose fault it is and what state it leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.events import JoinResult


class GossipError(Exception):
    """Base of every error that trio-gossip raises on purpose."""


class LocalProtocolError(GossipError):
    """The caller's own misuse: a payload too large, an unknown member, a clock run backwards.

    State: nothing has changed; the same object may go on being used.
    """


class BroadcastRateError(LocalProtocolError):
    """This member broadcasts more than ``broadcast_rate`` and ``broadcast_burst`` allow.

    State: the message was not taken and nothing has changed. The same call works later.

    Attributes:
        retry_after: seconds after which it does, if there is no other broadcast before.
    """

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message, retry_after)
        self.retry_after = retry_after

    def __str__(self) -> str:
        return str(self.args[0])


class RemoteProtocolError(GossipError):
    """A peer answered an exchange with a refusal or with something that makes no sense.

    State: that exchange is over; membership and all other exchanges are untouched.
    """


class PeerUnreachableError(GossipError):
    """A member did not answer a ping or could not be dialled in time. Nobody's fault.

    State: nothing has changed; whether the member has failed is for the detector to say.
    """


class ConfigError(GossipError, ValueError):
    """A configuration that cannot work; the message names the fields and the reason.

    State: no config was made.
    """


class JoinError(GossipError, ExceptionGroup[Exception]):
    """No seed could be joined. Holds one error for each seed, in the order given.

    The fault is in the list of seeds or in the network. State: this member goes on
    alone and keeps retrying the seeds at a low rate, if the caller catches this.

    Attributes:
        results: the :class:`~trio_gossip.JoinResult` of every seed.
    """

    results: tuple[JoinResult, ...] = ()

    def derive(self, excs: Sequence[Exception], /) -> JoinError:  # type: ignore[override]  # narrower
        """A group of the same kind for a part of the errors (``split``, ``except*``).

        The override is narrower than typeshed's overloads, which also allow BaseException: all
        errors of a join are Exceptions.
        """
        derived = JoinError(self.message, excs)
        derived.results = self.results
        return derived
