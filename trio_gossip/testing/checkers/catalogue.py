"""All checkers, and how they are set on a simulation together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trio_gossip.codec.messages import IndirectPing
from trio_gossip.testing.checkers.answers import AnswersOwed, PingsAnswered
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.bounds import (
    CommandsComplete,
    MemoryBounds,
    QueueBounds,
    TimersKept,
)
from trio_gossip.testing.checkers.convergence import Convergence, Healing
from trio_gossip.testing.checkers.counting import (
    CountersMonotone,
    Progress,
    StallIsReal,
    StatisticsMatch,
)
from trio_gossip.testing.checkers.delivery import BroadcastOnce, BroadcastToAll, ReliableDelivery
from trio_gossip.testing.checkers.detection import (
    DetectionBound,
    NoFalseFailure,
    SuspicionDuration,
)
from trio_gossip.testing.checkers.exchanging import ExchangeMerged, JoinOutcome
from trio_gossip.testing.checkers.following import ContradictionFollowed
from trio_gossip.testing.checkers.goodbyes import GoodbyeBelieved, LeaveIsLeft, OwnGoodbye
from trio_gossip.testing.checkers.gossip import SendsEnough, SendsPerRumour
from trio_gossip.testing.checkers.helping import RelayInTime, SuspectIsTold
from trio_gossip.testing.checkers.incarnations import (
    ClaimOrder,
    IncarnationMonotone,
    NoResurrection,
    OneContent,
    OwnIncarnation,
)
from trio_gossip.testing.checkers.keeping import SharedKeysStay, StateOfMembers
from trio_gossip.testing.checkers.lanes import LanesShare
from trio_gossip.testing.checkers.letters import AnnouncedIsHeld, AnnouncedToAll, LettersAreFetched
from trio_gossip.testing.checkers.life import FirstIncarnation, NoOwnDeath, Refutation
from trio_gossip.testing.checkers.mending import (
    ComparedIsTold,
    ExplainedIsTold,
    GoodbyesToldAsSuch,
)
from trio_gossip.testing.checkers.outcomes import (
    ArrivedIsDelivered,
    DeliveredWhole,
    GoodbyeAnswered,
    LeaverRests,
    VerdictHasCause,
)
from trio_gossip.testing.checkers.packets import (
    Amplification,
    PacketLimit,
    ReplayIdempotent,
    WellFormed,
)
from trio_gossip.testing.checkers.passing import ExchangeRate, LostAreTried, NewsIsQueued
from trio_gossip.testing.checkers.pausing import (
    DropsTheMostTold,
    NewsIsHot,
    NewsIsPaced,
    RoundsAreSmall,
)
from trio_gossip.testing.checkers.pinging import AccusedWasAsked, MovedWasAsked, PingsGoHome
from trio_gossip.testing.checkers.privacy import QuietKept
from trio_gossip.testing.checkers.probing import ProbeCoverage, ProbeRate
from trio_gossip.testing.checkers.promises import (
    BuriedComesBack,
    GoneIsKnown,
    OutagesForgiven,
)
from trio_gossip.testing.checkers.quiescence import Quiescence
from trio_gossip.testing.checkers.repairing import MissedIsRepaired, SumsMatchTable
from trio_gossip.testing.checkers.rotating import KeysChanged, KeysShared
from trio_gossip.testing.checkers.rounds import AcksMatch, HealthScore, HelpersAsked
from trio_gossip.testing.checkers.scanning import RingKept, ScanRate, SuspectsAsked
from trio_gossip.testing.checkers.searching import TriesAreFew
from trio_gossip.testing.checkers.secrecy import AcceptedOnce, NoncesOnce, NothingInClear
from trio_gossip.testing.checkers.spreading import (
    GossipFair,
    GossipKept,
    NewsInFull,
    NoStaleNews,
)
from trio_gossip.testing.checkers.stages import HealthWeighed, StagesKept
from trio_gossip.testing.checkers.state import (
    DeletedStaysDeleted,
    StateAgrees,
    StateBounded,
    StateGoesForward,
    StateOwn,
)
from trio_gossip.testing.checkers.telling import (
    EventsMatchTable,
    LegalTransitions,
    ReapTime,
    VersionsWithoutGap,
)
from trio_gossip.testing.checkers.testimony import TestimonyHeard
from trio_gossip.testing.checkers.verdicts import FinalPing, VerdictTime
from trio_gossip.testing.checkers.weighing import AliveIsHeard, ClaimsWeighed
from trio_gossip.testing.checkers.wire import (
    INDIRECT_PING,
    PING,
    carries_news,
    first_code,
    messages_of,
)
from trio_gossip.testing.simulation.observers import Observer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from trio_gossip.addresses import Address
    from trio_gossip.engine.outputs import Output
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

ALL: Final[tuple[type[Checker], ...]] = (
    IncarnationMonotone,
    ClaimOrder,
    NoResurrection,
    OwnIncarnation,
    OneContent,
    NoOwnDeath,
    Refutation,
    OwnGoodbye,
    GoodbyeBelieved,
    LeaveIsLeft,
    NoFalseFailure,
    DetectionBound,
    SuspicionDuration,
    ProbeRate,
    ProbeCoverage,
    ScanRate,
    RingKept,
    SuspectsAsked,
    StagesKept,
    HealthWeighed,
    VerdictTime,
    FinalPing,
    TestimonyHeard,
    QuietKept,
    OutagesForgiven,
    GoneIsKnown,
    BuriedComesBack,
    RelayInTime,
    SuspectIsTold,
    HelpersAsked,
    HealthScore,
    AcksMatch,
    PingsGoHome,
    AccusedWasAsked,
    MovedWasAsked,
    PingsAnswered,
    AnswersOwed,
    ClaimsWeighed,
    AliveIsHeard,
    FirstIncarnation,
    NewsIsQueued,
    LostAreTried,
    ContradictionFollowed,
    ExchangeRate,
    Healing,
    Convergence,
    Quiescence,
    SumsMatchTable,
    MissedIsRepaired,
    ExplainedIsTold,
    ComparedIsTold,
    GoodbyesToldAsSuch,
    StateGoesForward,
    DeletedStaysDeleted,
    StateOwn,
    StateBounded,
    StateAgrees,
    StateOfMembers,
    SharedKeysStay,
    SendsPerRumour,
    SendsEnough,
    LanesShare,
    BroadcastOnce,
    BroadcastToAll,
    AnnouncedToAll,
    AnnouncedIsHeld,
    LettersAreFetched,
    NewsIsPaced,
    NewsIsHot,
    RoundsAreSmall,
    DropsTheMostTold,
    TriesAreFew,
    ReliableDelivery,
    VersionsWithoutGap,
    LegalTransitions,
    ReapTime,
    EventsMatchTable,
    PacketLimit,
    WellFormed,
    ReplayIdempotent,
    Amplification,
    QueueBounds,
    MemoryBounds,
    TimersKept,
    CommandsComplete,
    StatisticsMatch,
    CountersMonotone,
    Progress,
    StallIsReal,
    NewsInFull,
    GossipKept,
    GossipFair,
    NoStaleNews,
    ExchangeMerged,
    JoinOutcome,
    ArrivedIsDelivered,
    DeliveredWhole,
    GoodbyeAnswered,
    LeaverRests,
    VerdictHasCause,
    NothingInClear,
    NoncesOnce,
    AcceptedOnce,
    KeysChanged,
    KeysShared,
)
"""Every rule. Each class says in its docstring what it demands, where that is from, and what it
tolerates."""

TICK_SECONDS: Final = 1.0
"""Virtual seconds between two ticks of the checkers."""


class Checkers(Observer):
    """Some checkers on one simulation, made by :func:`~trio_gossip.testing.attach`. Looks at each
    packet for all.
    """

    def __init__(self, simulation: Simulation, members: Iterable[Checker]) -> None:
        self._simulation = simulation
        self.members = tuple(members)
        self._next_tick = 0.0
        self._answering = False
        self._taking = False
        self._news_sent = self._wanted("news_sent")
        self._news_arrived = self._wanted("news_arrived")
        self._ping_sent = self._wanted("ping_sent")
        self._request_arrived = self._wanted("request_arrived")
        self._taken = self._wanted("taken")
        self._ticked = self._wanted("tick")

    def _wanted(self, hook: str) -> list[Callable[..., None]]:
        """The methods of the checkers that have overridden a hook of :class:`Checker`."""
        return [
            getattr(checker, hook)
            for checker in self.members
            if getattr(type(checker), hook) is not getattr(Checker, hook)
        ]

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        """See :class:`Observer`."""
        if first_code(data) == PING:
            for hook in self._ping_sent:
                hook(process, address)
        if carries_news(data):
            messages = messages_of(data)
            for hook in self._news_sent:
                hook(process, messages, address, answering=self._answering)

    def arrived(self, process: Process, data: bytes, source: Address) -> None:
        """See :class:`Observer`."""
        self._answering = True
        if carries_news(data):
            self._taking = True
            messages = messages_of(data)
            for hook in self._news_arrived:
                hook(process, messages, data, source)
        elif first_code(data) != INDIRECT_PING:
            return
        for message in messages_of(data):
            if isinstance(message, IndirectPing):
                self._taking = True
                for hook in self._request_arrived:
                    hook(process, message, source)

    def turned(self, process: Process, outputs: list[Output]) -> None:
        """See :class:`Observer`. Between two steps, with everything in order, is also the time for
        what is done once a second.
        """
        self._answering = False
        if self._taking:
            self._taking = False
            for hook in self._taken:
                hook(process)
        if self._simulation.schedule.now >= self._next_tick:
            self._next_tick = self._simulation.now + TICK_SECONDS
            for hook in self._ticked:
                hook()

    def calm(self) -> None:
        """Say that the faults have stopped."""
        for checker in self.members:
            checker.calm()

    def finish(self) -> None:
        """Say that the run is over."""
        for checker in self.members:
            checker.finish()


def attach(
    simulation: Simulation, findings: Findings, checkers: Iterable[type[Checker]] = ALL
) -> Checkers:
    """Set checkers on a simulation in which nothing has started yet.

    Args:
        simulation: what they look at.
        findings: where they say what they saw.
        checkers: which ones; each is made anew.
    """
    made = Checkers(simulation, [checker(simulation, findings) for checker in checkers])
    for checker in made.members:
        simulation.observe(checker)
    simulation.observe(made)
    return made
