"""The one place where checkers look inside of an engine: its time, its table, its timers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_gossip.engine.graded import GradedSuspicion
from trio_gossip.engine.inquiry import Inquiry
from trio_gossip.engine.parcels import _mark  # pyright: ignore[reportPrivateUsage]
from trio_gossip.engine.scanner import Scanner
from trio_gossip.engine.suspicion import Suspicion

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Announce
    from trio_gossip.engine.attempt import Attempt
    from trio_gossip.engine.clock import StallClock
    from trio_gossip.engine.judging import Case
    from trio_gossip.engine.node import Node
    from trio_gossip.testing.simulation.process import Process

# What is judged is what an engine says and sends. Its inside is read for what it does not say (how
# long it really waited, what it still keeps) and nothing there is ever changed.


def node_of(process: Process) -> Node:
    """What the parts of an engine share, to be read only."""
    return process.engine._node  # pyright: ignore[reportPrivateUsage] - see above


def weighs(process: Process) -> bool:
    """True when a process finds failures by evidence, False when by the rules of memberlist."""
    return process.config.detector == "evidence"


def cases_of(process: Process) -> dict[str, Case]:
    """The suspicions that an engine keeps, by suspect, whatever its rules."""
    return process.engine._parts.claims.suspicions  # pyright: ignore[reportPrivateUsage]


def suspicions_of(process: Process) -> dict[str, Suspicion]:
    """The suspicions that an engine keeps by the rules of memberlist, by suspect."""
    kept = cases_of(process)
    return {name: case for name, case in kept.items() if isinstance(case, Suspicion)}


def graded_of(process: Process) -> dict[str, GradedSuspicion]:
    """The suspicions that an engine keeps by evidence, by suspect."""
    kept = cases_of(process)
    return {name: case for name, case in kept.items() if isinstance(case, GradedSuspicion)}


def is_private(process: Process, name: str) -> bool:
    """True while a process suspects ``name`` and nobody else was told."""
    case = cases_of(process).get(name)
    return case is not None and case.private


def is_rechecked(process: Process, name: str) -> bool:
    """True while helpers are asked about a suspect that nobody was told of."""
    judge = process.engine._parts.claims.judge  # pyright: ignore[reportPrivateUsage]
    return isinstance(judge, Inquiry) and name in judge._recheck._running  # pyright: ignore[reportPrivateUsage]


def attempts_of(process: Process) -> dict[int, Attempt]:
    """What a process does to reach members now, by sequence number."""
    scanner = process.engine._parts.prober  # pyright: ignore[reportPrivateUsage]
    if not isinstance(scanner, Scanner):
        return {}
    return scanner._attempts._open  # pyright: ignore[reportPrivateUsage]


def is_relayed(process: Process, sequence: int) -> bool:
    """True while a process asks this question for another member."""
    return sequence in process.engine._parts.relay._open  # pyright: ignore[reportPrivateUsage]


def is_isolated(process: Process) -> bool:
    """True while a process should take itself for cut off: by the silent rounds that it counts."""
    guard = node_of(process).guard
    rounds = guard._silent_rounds  # pyright: ignore[reportPrivateUsage]
    return rounds >= process.config.isolate_after


def is_verified(process: Process, name: str) -> bool:
    """True while a process asks ``name`` itself whether it is there, as only hearsay says so."""
    return name in process.engine._parts.returns  # pyright: ignore[reportPrivateUsage]


def asks_whether_it_is_back(process: Process, address: Address, tries: int) -> bool:
    """True when a process asks there for a member that is said to be back, and for the first time
    or for one up to ``tries``.
    """
    asked = process.engine._parts.returns._asked  # pyright: ignore[reportPrivateUsage]
    return any(each.address == address and each.tries <= tries for each in asked.values())


def engine_time(process: Process) -> float:
    """Engine time of the last turn: seconds of its clock, less those for which it stood still.

    What a process owes within a time is measured in these: nothing can be asked of one that
    is paused.
    """
    return max(node_of(process).now, process.started_at)  # an engine has no time before it starts


def clock_of(process: Process) -> StallClock:
    """What an engine makes of late wake-ups, to be read only."""
    return process.engine._clock  # pyright: ignore[reportPrivateUsage]


def is_leaving(process: Process) -> bool:
    """True from the command to leave until a new join."""
    return node_of(process).leaving


def active_of(process: Process) -> int:
    """How many members a process counts, itself included: the N of the formulas."""
    return node_of(process).table.active


def evidence_of(process: Process, name: str) -> int:
    """The highest incarnation of ``name`` that a process has admitted; 0 when it has no row."""
    entry = node_of(process).table.get(name)
    return 0 if entry is None else entry.evidence


def is_open_question(process: Process, sequence: int) -> bool:
    """True while an engine waits for the ack of this number."""
    questions = node_of(process).questions
    return sequence in questions._open  # pyright: ignore[reportPrivateUsage]


def is_open_stream(process: Process, exchange: int) -> bool:
    """True while an engine has a stream of this number."""
    streams = process.engine._parts.streams  # pyright: ignore[reportPrivateUsage]
    return streams.find(exchange) is not None


def trusted_at(process: Process) -> float:
    """Engine time from which the findings of a process count although it is cut off."""
    config = process.config
    return node_of(process).guard.isolated_since + config.max_factor * config.floor_silent


def held_records_of(process: Process) -> int:
    """Records of peers' tables that an engine holds and has not merged yet."""
    return process.engine._parts.sync.held  # pyright: ignore[reportPrivateUsage]


def held_bytes_of(process: Process) -> int:
    """Bytes of reliable messages that an engine holds and has not delivered yet."""
    return process.engine._parts.mail.held  # pyright: ignore[reportPrivateUsage]


def holds_letter(process: Process, announcement: Announce) -> bool:
    """True while an engine has the long broadcast that is announced so, for those who ask."""
    parcels = process.engine._parts.mail.parcels  # pyright: ignore[reportPrivateUsage]
    return _mark(announcement) in parcels._held  # pyright: ignore[reportPrivateUsage]


def is_queued(process: Process, name: str) -> bool:
    """True while an engine has news of ``name`` to tell, or its own goodbye."""
    queue = node_of(process).queue
    lane = queue.membership._level_of  # pyright: ignore[reportPrivateUsage]
    return name in lane or (name == process.name and len(queue.urgent) > 0)


def wants_letters(process: Process) -> bool:
    """True while an engine fetches long broadcasts."""
    parcels = process.engine._parts.mail.parcels  # pyright: ignore[reportPrivateUsage]
    return bool(parcels._wanted)  # pyright: ignore[reportPrivateUsage]


def held_letters_of(process: Process) -> int:
    """Bytes of long broadcasts that an engine keeps for others."""
    return process.engine._parts.mail.parcels.bytes  # pyright: ignore[reportPrivateUsage]


def summary_of(process: Process) -> bytes:
    """What a ping of this process would say now of all that it knows."""
    return process.engine._parts.repair.summary()  # pyright: ignore[reportPrivateUsage]


def times_told(process: Process) -> dict[object, int]:
    """How often each of the broadcasts was told that a process has to tell, by their keys."""
    return dict(node_of(process).queue.user._level_of)  # pyright: ignore[reportPrivateUsage]


def packet_limit_of(process: Process) -> int:
    """Most bytes in a packet of this process."""
    return node_of(process).packet_limit


def has_news_for(process: Process, address: Address) -> bool:
    """True when it could tell a member at ``address`` something of members now: nobody is told what
    it said itself, or told us.
    """
    node = node_of(process)
    pace = node.queue.pace
    peer = node.table.name_at(address) or ""
    due = node.queue.membership._due(pace, node.now)  # pyright: ignore[reportPrivateUsage]
    return any(not entry.is_known_to(peer, pace) for _, entry in due)
