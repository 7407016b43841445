"""Rules of what a process keeps: nothing grows without bound, nothing that is needed is lost."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar, Final

from trio_gossip.engine import OpenExchange
from trio_gossip.engine.mail import HELD_MESSAGES
from trio_gossip.engine.membership import TOMBSTONES_MAX
from trio_gossip.engine.relay import RELAYS_EACH_MAX
from trio_gossip.engine.streams import LIFETIME_FACTOR
from trio_gossip.engine.sync import HELD_TABLES
from trio_gossip.events import MessageReceived
from trio_gossip.members import MemberState
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.inside import (
    attempts_of,
    cases_of,
    engine_time,
    graded_of,
    held_bytes_of,
    held_letters_of,
    held_records_of,
    is_leaving,
    is_open_stream,
    is_rechecked,
    node_of,
    weighs,
)

if TYPE_CHECKING:
    from trio_gossip.engine import Complete
    from trio_gossip.engine.outputs import Output
    from trio_gossip.engine.timers import Key
    from trio_gossip.events import Event
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

LOOK_TICKS: Final = 2
"""Seconds between two looks at what processes keep."""

SINGLE_TIMERS: Final = 16
"""Timers of which there is one at most: ticks, the stages of a probe and of a leave..."""

OPEN_AT_REST: Final = 4
"""Questions and streams that an idle process may have open: its probe and a push/pull each way."""

LETTERS_SECONDS: Final = 60.0
"""After the last message: a long broadcast is kept for thirty, and may be fetched for twenty."""

REST_SECONDS: Final = 30.0
"""How long after the faults nothing of them may be open any more: streams have timed out."""

COMMAND_SLACK: Final = 2.0
"""Seconds beyond its time until a command must have ended."""


class _Looking(Checker):
    """Looks at every running process every other second."""

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._ticks = 0

    def tick(self) -> None:
        self._ticks += 1
        if self._ticks % LOOK_TICKS == 0:
            self.finish()

    def finish(self) -> None:
        for process in self.simulation.processes.values():
            self.look(process)

    @abstractmethod
    def look(self, process: Process) -> None:
        """Look at one process."""

    def at_most(self, process: Process, what: str, count: int, most: int) -> None:
        """Hold a size against its bound."""
        if count > most:
            self.wrong(f"{process.name} keeps {count} {what}, at most {most} are allowed")
        else:
            self.ok()


class QueueBounds(_Looking):
    """Queues of news have a bound: one claim for each member that ever was (newer news of it
    replaces older), one goodbye, and ``broadcast_queue_max`` user messages. Once strangers' packets
    were let in, who may invent members, the bound is ``members_max``.
    """

    name: ClassVar[str] = "queue-bounds"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._names: set[str] = set()

    def started(self, process: Process) -> None:
        self._names.add(process.name)

    def look(self, process: Process) -> None:
        queue = node_of(process).queue
        config = process.config
        names = config.members_max if self.strangers_spoke else len(self._names)
        self.at_most(process, "claims to tell", len(queue.membership), names)
        self.at_most(process, "broadcasts to tell", len(queue.user), config.broadcast_queue_max)
        self.at_most(process, "goodbyes to tell", len(queue.urgent), 1)


class MemoryBounds(_Looking):
    """What a process keeps is bounded by the members that it knows and what it was asked to do.

    * questions: its probe, three for each name that moves, sixteen for each requester of relays,
      one for each command, and during a leave one for each member and round;
    * timers: one or two for each row, question and stream, and a handful;
    * tombstones: one for each member that ever was, at most ``TOMBSTONES_MAX``;
    * records of tables that peers have sent and that are not merged yet: ``HELD_TABLES`` times
      ``members_max``; and bytes of messages, ``HELD_MESSAGES`` times ``message_bytes_max``;
    * when the faults have been over for half a minute: four streams, and four questions beside one
      for each member, since all may look for one that is silent at the same time;
    * and when nobody has got a message for a minute, no long broadcast is kept any more.
    """

    name: ClassVar[str] = "memory-bounds"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._names: set[str] = set()
        self._calm: float | None = None
        self._spoke = 0.0

    def started(self, process: Process) -> None:
        self._names.add(process.name)
        self._disturbed()

    def ended(self, process: Process, how: str) -> None:
        self._disturbed()

    def injected(self, kind: str, names: tuple[str, ...]) -> None:
        self._disturbed()

    def event(self, process: Process, event: Event) -> None:
        if type(event) is MessageReceived:
            self._spoke = self.simulation.now

    def _disturbed(self) -> None:
        if self._calm is not None:
            self._calm = self.simulation.now

    def calm(self) -> None:
        self._calm = self.simulation.now

    def look(self, process: Process) -> None:
        node = node_of(process)
        config = process.config
        statistics = process.engine.statistics()
        rows, questions, streams = statistics.members, statistics.questions, statistics.exchanges
        commands = len(node.outbox.commands)
        most = 2 + rows * (3 + RELAYS_EACH_MAX) + commands
        if is_leaving(process):
            most += rows * (2 + int(config.leave_timeout / config.gossip_interval))
        self.at_most(process, "questions", questions, most)
        most = SINGLE_TIMERS + 3 * rows + 2 * questions + 3 * streams + commands
        self.at_most(process, "timers", statistics.timers, most)
        held = held_records_of(process)
        self.at_most(process, "records of peers", held, HELD_TABLES * config.members_max)
        held = held_bytes_of(process)
        self.at_most(process, "bytes of messages", held, HELD_MESSAGES * config.message_bytes_max)
        if not self.strangers_spoke:
            stones = sum(1 for _ in node.table.tombstones())
            self.at_most(process, "tombstones", stones, min(len(self._names), TOMBSTONES_MAX))
        if self._calm is not None and self.simulation.now - self._calm > REST_SECONDS:
            most = OPEN_AT_REST + rows + commands
            self.at_most(process, "questions at rest", questions, most)
            self.at_most(process, "streams at rest", streams, OPEN_AT_REST + commands)
            if self.simulation.now - self._spoke > LETTERS_SECONDS:
                self.at_most(process, "bytes of letters at rest", held_letters_of(process), 0)


class TimersKept(_Looking):
    """What has to end has a timer: each suspicion, each failed or left row, each stream from the
    turn in which it is dialled; and a member that has not left goes on probing and exchanging
    tables. A suspicion is kept for exactly the suspects. No tolerance.

    With the detector that weighs evidence both loops go on, each attempt has its next step, and who
    accuses goes on asking. A suspicion needs no timer of its own while helpers are asked about it.
    """

    name: ClassVar[str] = "timers-kept"

    def turned(self, process: Process, outputs: list[Output]) -> None:
        for output in outputs:
            if type(output) is OpenExchange:
                self._judge_stream(process, output.exchange)

    def _judge_stream(self, process: Process, exchange: int) -> None:
        timers = node_of(process).timers
        wanted: list[Key] = [("exchange", exchange), ("exchange_life", exchange)]
        if not is_open_stream(process, exchange) or all(key in timers for key in wanted):
            self.ok()
        else:
            self.wrong(f"{process.name} has dialled a stream that may hang for ever")

    def look(self, process: Process) -> None:
        node = node_of(process)
        wanted: list[Key] = []
        suspects: list[str] = []
        for entry in node.table:
            member = entry.member
            if member.state is MemberState.SUSPECT:
                suspects.append(member.name)
                if not is_rechecked(process, member.name):
                    wanted.append(("suspicion", member.name))
            elif not member.is_active and member.name != process.name:
                wanted.append(("reap", member.name))
        if not is_leaving(process):
            wanted += [*_loops(process), ("push_pull", 0), ("rejoin", 0)]
        wanted += [("attempt", sequence) for sequence in attempts_of(process)]
        wanted += [
            ("reprobe", name)
            for name, case in graded_of(process).items()
            if process.name in case.found
        ]
        missing = [f"{kind} {which}" for kind, which in wanted if (kind, which) not in node.timers]
        if missing:
            self.wrong(f"{process.name} has no timer for {', '.join(missing)}")
        elif sorted(suspects) != sorted(cases_of(process)):
            self.wrong(f"{process.name} suspects {suspects}, and keeps {cases_of(process)}")
        else:
            self.ok()


def _loops(process: Process) -> list[Key]:
    """The timers of the probes that go on for ever."""
    if not weighs(process):
        return [("probe_tick", 0)]
    loops = (process.config.ring_interval, process.config.scan_interval)
    return [("probe_tick", loop) for loop, interval in enumerate(loops) if interval is not None]


class CommandsComplete(_Looking):
    """Each command ends exactly once, and in its time: a leave in ``leave_timeout``, a ping in
    ``probe_timeout``, what uses a stream with that stream, and in twelve ``stream_timeout``, the
    longest life of one, at the latest. A change of keys has two of these. In engine time, with two
    seconds of tolerance.
    """

    name: ClassVar[str] = "commands-complete"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._open: dict[Process, dict[int, float]] = {}
        self._idle: dict[Process, dict[int, float]] = {}
        self._ended: dict[Process, set[int]] = {}

    def completed(self, process: Process, complete: Complete) -> None:
        ended = self._ended.setdefault(process, set())
        if complete.token in ended:
            self.wrong(f"{process.name}: command {complete.token} ended twice")
        else:
            self.ok()
        ended.add(complete.token)
        self._open.get(process, {}).pop(complete.token, None)
        self._idle.get(process, {}).pop(complete.token, None)

    def ended(self, process: Process, how: str) -> None:
        for kept in (self._open, self._idle, self._ended):
            kept.pop(process, None)

    def look(self, process: Process) -> None:
        opened = self._open.setdefault(process, {})
        idle = self._idle.setdefault(process, {})
        kept = node_of(process).outbox.commands
        now = engine_time(process)
        for token, stream in kept.items():
            opened.setdefault(token, now)
            if stream is not None and not is_open_stream(process, stream):
                idle.setdefault(token, now)
        for token, since in list(opened.items()):
            waited = now - since
            if token not in kept:
                self.wrong(f"{process.name}: command {token} was forgotten")
            elif waited > self._patience(process, token, kept[token]):
                self.wrong(f"{process.name}: command {token} does not end: {waited:.1f} s")
            elif now - idle.get(token, now) > COMMAND_SLACK:
                self.wrong(f"{process.name}: command {token} goes on without its stream")
            else:
                continue
            del opened[token]

    @staticmethod
    def _patience(process: Process, token: int, stream: int | None) -> float:
        """Seconds for a command with or without a stream."""
        config = process.config
        if stream is not None:
            return LIFETIME_FACTOR * config.stream_timeout + COMMAND_SLACK
        if token in process.key_tokens:
            return 2 * LIFETIME_FACTOR * config.stream_timeout + COMMAND_SLACK
        if is_leaving(process):
            return config.leave_timeout + COMMAND_SLACK
        return config.probe_timeout + COMMAND_SLACK
