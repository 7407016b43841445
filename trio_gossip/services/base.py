"""What a service is to the engine, and what the engine is to a service."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

if TYPE_CHECKING:
    import random

    from trio_gossip.members import Member
    from trio_gossip.plane import Plane

MOMENT: Final = 1e-6
"""Seconds by which a deadline may come early, since times round. Who takes it for not yet come, and
sets it again, is called again at once for ever."""

Answered: TypeAlias = Callable[[bytes | Exception], None]
"""Takes the answer to a request, or what became of it: a
:class:`~trio_gossip.PeerUnreachableError` or a :class:`~trio_gossip.RemoteProtocolError`."""


class RequestRefusedError(ValueError):
    """A request of a peer that a service will not answer. The peer's fault; it is told the text,
    of which 200 characters travel. State: nothing has changed.
    """


class Host(Protocol):
    """What the engine gives to a service. To be used within a call of the service only."""

    @property
    def name(self) -> str:
        """This member's name."""
        ...

    @property
    def now(self) -> float:
        """The time of this turn, in seconds of the engine's own clock."""
        ...

    @property
    def rng(self) -> random.Random:
        """The engine's one source of chance."""
        ...

    def members(self) -> tuple[Member, ...]:
        """Alive and suspect members, this one included, always in the same order."""
        ...

    @property
    def room(self) -> int:
        """Bytes of the longest payload that :meth:`tell` and :meth:`send` take."""
        ...

    def is_known(self, name: str) -> bool:
        """True for a member in the table, this one included, in any state."""
        ...

    def tell(self, key: object, payload: bytes) -> None:
        """Gossip to the same service of all members; it replaces queued news of this ``key``.

        Best effort: when the queue is full, what was told most often is dropped and counted. News
        that came and is new has to be told on by the service itself.

        Raises:
            LocalProtocolError: it is longer than :attr:`room`.
        """
        ...

    def send(self, member: str, payload: bytes) -> None:
        """Send to the same service of one active member, in a datagram. Best effort.

        Raises:
            LocalProtocolError: no such active member, or it is longer than :attr:`room`.
        """
        ...

    def request(self, member: str, payload: bytes, answered: Answered) -> None:
        """Ask the same service of another member, by stream.

        ``answered`` is called once, in a later turn, within ``stream_timeout`` seconds of the
        last sign of life.

        Raises:
            LocalProtocolError: no such active member, it is this one, the payload is too large,
                or too many requests are under way. ``answered`` is not called then.
        """
        ...

    def complete(self, token: int, result: object = None, error: Exception | None = None) -> None:
        """End a command that :meth:`Service.call` took; nothing happens if it was abandoned."""
        ...

    def set_deadline(self, at: float) -> None:
        """Have :meth:`Service.handle_timeout` called at ``at``, as :attr:`now` counts, or up to
        ``MOMENT`` before. Replaces the one before; ``math.inf`` for never.
        """
        ...

    def bump(self, counter: str) -> None:
        """Count something. The name is from the service's code, never from the network."""
        ...


class Service(ABC):
    """A sans-IO machine that rides on the core.

    The contract is that of the engine: no trio, no clock, no socket, no chance of its own. The
    engine calls it within a turn, and what it asks of its :class:`Host` becomes outputs of that
    turn. One service belongs to one engine.

    Attributes:
        code: names the service on the wire, 0 to 255; the same at all members.
    """

    code: int

    @abstractmethod
    def attach(self, host: Host) -> None:
        """The engine is made. Once, before anything else; there is no turn yet."""

    @abstractmethod
    def call(self, command: object, token: int) -> None:
        """Begin a command of the local program. Its end is told to :meth:`Host.complete`, now or
        in a later turn.

        Raises:
            LocalProtocolError: misuse; nothing has changed.
        """

    @property
    def planes(self) -> Sequence[Plane]:
        """What repair has to keep alike at all members; their codes are above 0. Asked once."""
        return ()

    def news_untrusted(self, payload: bytes, source: str) -> None:  # noqa: B027 - not all have news
        """News came from ``source``, a member that we know. Nothing may be raised, whatever the
        payload is.
        """

    def forget(self, name: str) -> None:  # noqa: B027 - most remember nothing of members
        """A member was reaped."""

    def counted(self, name: str, is_active: bool) -> None:  # noqa: B027 - most do not care
        """A member became alive, or an active one failed or left. Repair compares members as they
        are counted here, so a plane that holds knowledge for each of them counts the same ones.
        """

    def met(self, member: str, mode: str) -> None:  # noqa: B027 - most have nothing to say then
        """Tables were exchanged with ``member``: after a join, and now and then. ``mode`` says
        which way, see ``Config.exchange``.
        """

    def abandon(self, token: int) -> None:  # noqa: B027 - not every service has to care
        """Who called is gone. Also called with tokens that are not this service's."""

    @abstractmethod
    def answer_untrusted(self, payload: bytes, source: str) -> bytes:
        """Answer a request of ``source``, an active member, now.

        Raises:
            RequestRefusedError: it makes no sense or is not allowed. Nothing else may be raised,
                whatever the payload is.
        """

    def handle_timeout(self) -> None:  # noqa: B027 - not every service has a deadline
        """The deadline is there; it is forgotten unless it is set again."""
