"""Rules of the pace of gossip: the first transmissions at once, the others with pauses."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

from trio_gossip.codec.messages import Announce, Broadcast
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.inside import active_of, engine_time, node_of, times_told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Message
    from trio_gossip.engine.outputs import Output
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

PIECES_MAX: Final = 4096
"""Pieces of news of all processes that are remembered; the one begun longest ago is forgotten."""

LONE: Final = 8
"""Messages of the application in a queue that is not busy."""

MEMBERS_FEW: Final = 5
"""Members from which on a piece of news has several transmissions that follow each other."""

BEGUN_FEW: Final = 5
"""Broadcasts of a run from which on it is judged whether they were hot."""

HOT_SHARE: Final = 0.5
"""Of them must have been."""

_SLACK: Final = 1e-6

_WORDS: Final = (Broadcast, Announce)

Piece: TypeAlias = "tuple[Process, str, int, int]"
"""Who tells it; and its origin, epoch and counter."""


class _Pieces(Checker, ABC):
    """Counts how often each process has sent each broadcast, with eager copies."""

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._sent: OrderedDict[Piece, tuple[int, float]] = OrderedDict()
        """How often it was sent, and when last."""

    def news_sent(
        self, process: Process, messages: Sequence[Message], address: Address, *, answering: bool
    ) -> None:
        if not process.config.eager_copies:
            return
        now = engine_time(process)
        for message in messages:
            if isinstance(message, _WORDS):
                piece = (process, message.origin, message.epoch, message.counter)
                count, last = self._sent.get(piece, (0, now))
                self.told(piece, count, now - last)
                self._sent[piece] = (count + 1, now)
                if len(self._sent) > PIECES_MAX:
                    self._sent.popitem(last=False)

    @abstractmethod
    def told(self, piece: Piece, count: int, seconds: float) -> None:
        """A piece that was sent ``count`` times is sent again, ``seconds`` after the last time."""


class NewsIsPaced(_Pieces):
    """Beyond the eager copies a process sends a broadcast again only after a pause, of the shortest
    of ``cold_gaps`` at least: who was deaf for a moment hears of it later. In engine time. No
    tolerance; not where members gossip in memberlist's rounds.
    """

    name: ClassVar[str] = "news-is-paced"

    def told(self, piece: Piece, count: int, seconds: float) -> None:
        process = piece[0]
        if count < process.config.eager_copies:
            return
        least = min(process.config.cold_gaps)
        if seconds < least - _SLACK:
            self.wrong(f"{process.name} tells {piece[1:]} again after {seconds:.4f} s")
        else:
            self.ok()


class NewsIsHot(_Pieces):
    """A broadcast is told to several members at once, as rumours spread by hops: of all that were
    begun while the sender had little else to tell, half at least went out a second time within
    half of the first of ``cold_gaps``.

    Judged in runs with five of them; not those of a process that is slow or has just overslept,
    which pauses its eager copies.
    """

    name: ClassVar[str] = "news-is-hot"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._begun: dict[Piece, None] = {}
        self._judged = 0
        self._hot = 0

    def told(self, piece: Piece, count: int, seconds: float) -> None:
        process = piece[0]
        node = node_of(process)
        if not count:
            if (
                piece[1] == process.name
                and process.can_run
                and len(node.queue.user) <= LONE
                and active_of(process) >= MEMBERS_FEW
                and node.eager_not_before <= node.now
            ):
                self._begun[piece] = None
        elif piece in self._begun:
            del self._begun[piece]
            self._judged += 1
            self._hot += seconds <= process.config.cold_gaps[0] / 2

    def finish(self) -> None:
        if self._judged < BEGUN_FEW:
            return
        if self._hot < HOT_SHARE * self._judged:
            self.wrong(f"of {self._judged} broadcasts {self._hot} were told twice at once")
        else:
            self.ok()


class RoundsAreSmall(Checker):
    """A round of gossip goes to ``gossip_nodes`` members, whatever the size of the cluster (SWIM
    section 4.1); with eager copies to ``cold_packets``, and to as many more at once as
    their two allowances have. Counted are packets of one turn that begin with a broadcast and
    answer nothing: they are gossip for certain. No tolerance.
    """

    name: ClassVar[str] = "rounds-are-small"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._packets: dict[Process, int] = {}

    def news_sent(
        self, process: Process, messages: Sequence[Message], address: Address, *, answering: bool
    ) -> None:
        if not answering and messages and isinstance(messages[0], _WORDS):
            self._packets[process] = self._packets.get(process, 0) + 1

    def turned(self, process: Process, outputs: list[Output]) -> None:
        packets = self._packets.pop(process, 0)
        if not packets:
            return
        config = process.config
        most = config.gossip_nodes
        if config.eager_copies:
            most = config.cold_packets + config.eager_burst + config.eager_full_burst
        if packets > most:
            self.wrong(f"{process.name} sent {packets} packets of gossip at once")
        else:
            self.ok()


class DropsTheMostTold(Checker):
    """When a process has too many broadcasts to tell, it drops one that was told most often: what
    nobody has heard of is not given up for what many have. Judged over turns in which it sends no
    news, with its queue full before. No tolerance.
    """

    name: ClassVar[str] = "drops-the-most-told"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._full: dict[Process, dict[object, int]] = {}
        """How often each message of a full queue was told."""
        self._told: set[Process] = set()

    def ended(self, process: Process, how: str) -> None:
        self._full.pop(process, None)

    def news_sent(
        self, process: Process, messages: Sequence[Message], address: Address, *, answering: bool
    ) -> None:
        self._told.add(process)

    def turned(self, process: Process, outputs: list[Output]) -> None:
        before = self._full.pop(process, None)
        lane = node_of(process).queue.user
        told = process in self._told
        self._told.discard(process)
        if len(lane) < lane.limit:
            return
        now = self._full[process] = times_told(process)
        if before is None or told or before == now:
            return
        kept = max((sent for key, sent in before.items() if now.get(key) == sent), default=0)
        dropped = [sent for key, sent in before.items() if key not in now]
        if any(sent < kept for sent in dropped):
            self.wrong(f"{process.name} dropped what it told {min(dropped)} times, not {kept}")
        elif dropped:
            self.ok()
