"""The rules of versioned state: it goes forward, stays within its bounds, and all agree."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

import attrs

from trio_gossip.engine.repair import START_SECONDS_MAX
from trio_gossip.services.state_records import Plane, order_of
from trio_gossip.services.state_vector import VECTOR_ENTRIES_MAX
from trio_gossip.testing.checkers.base import Checker
from trio_gossip.testing.checkers.convergence import AfterFaults
from trio_gossip.testing.checkers.inside import is_leaving, node_of
from trio_gossip.testing.checkers.repairing import SLACK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trio_gossip.services.state_records import Slot
    from trio_gossip.services.state_replica import Replica
    from trio_gossip.services.state_vector import Life
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation

LOOK_TICKS: Final = 3
"""Seconds between two looks at what does not change of itself."""


def replicas_of(simulation: Simulation) -> Iterator[tuple[Process, Replica]]:
    """Both planes of all running processes."""
    for process in simulation.processes.values():
        for plane in Plane:
            yield process, process.state.replica(plane)


def items_of(replica: Replica) -> list[tuple[str, str, bytes | None]]:
    """What a replica shows."""
    return [(record.writer, record.key, record.value) for record in replica.items()]


@attrs.define
class _Past:
    """What one replica once showed."""

    mark: int
    digest: int
    tops: dict[Life, int]
    orders: dict[Slot, tuple[int, str, int, int]]
    deleted: dict[Slot, tuple[int, str, int, int]]
    """The newest tombstone that each slot ever held."""
    dead: dict[Slot, None]
    """Slots that held a tombstone at last."""


class StateGoesForward(Checker):
    """The version up to which a process has seen a life never falls, and no slot holds an older
    record than before, by the order of its plane. Looked at once a second.

    A shared tombstone may be older than one that was collected since: it was written over a value
    that came late (rule 7 of ``docs/state_rules``), to be newer than that value and no more. And a
    process that forgot a reaped member, or began a new generation, may start over with it.
    """

    name: ClassVar[str] = "state-goes-forward"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._past: dict[tuple[Process, Plane], _Past] = {}

    def ended(self, process: Process, how: str) -> None:
        for plane in Plane:
            self._past.pop((process, plane), None)

    def tick(self) -> None:
        for process, replica in replicas_of(self.simulation):
            self._look(process, replica)

    def finish(self) -> None:
        self.tick()

    def _look(self, process: Process, replica: Replica) -> None:
        plane = replica.plane
        past = self._past.get((process, plane))
        if past is not None and past.mark != replica.mark:
            past = None
        orders = {slot: order_of(plane, held.record) for slot, held in replica.slots.held.items()}
        tops = dict(replica.seen.tops())
        deleted = dict(past.deleted) if past is not None else {}
        if past is not None:
            self._compare(process, replica, past, tops, orders)
        dead = dict(replica.slots.tombstones)
        for slot in dead:
            deleted[slot] = max(orders[slot], deleted.get(slot, orders[slot]))
        self._past[process, plane] = _Past(
            replica.mark, replica.digest, tops, orders, deleted, dead
        )

    def _compare(
        self,
        process: Process,
        replica: Replica,
        past: _Past,
        tops: dict[Life, int],
        orders: dict[Slot, tuple[int, str, int, int]],
    ) -> None:
        where = f"{process.name} ({replica.plane.name})"
        if tops != past.tops or orders != past.orders:
            self.ok()
        for life, top in past.tops.items():
            if tops.get(life, top) < top:
                self.wrong(f"{where}: version {top} of {life} went back to {tops[life]}")
        for slot, order in past.orders.items():
            both_dead = slot in past.dead and slot in replica.slots.tombstones
            is_late = both_dead and replica.plane is Plane.SHARED
            if orders.get(slot, order) < order and not is_late:
                self.wrong(f"{where}: an older record came back to {slot}")


class DeletedStaysDeleted(StateGoesForward):
    """Where a process has held a tombstone, it never again shows a value that is older, also after
    it has collected the tombstone.
    """

    name: ClassVar[str] = "deleted-stays-deleted"

    def _compare(
        self,
        process: Process,
        replica: Replica,
        past: _Past,
        tops: dict[Life, int],
        orders: dict[Slot, tuple[int, str, int, int]],
    ) -> None:
        for slot, order in past.deleted.items():
            record = replica.get(slot)
            if record is None or orders[slot] > order:
                self.ok()
            else:
                self.wrong(f"{process.name} ({replica.plane.name}): {slot} came back")


class StateOwn(Checker):
    """What a process shows as its own keys is what its application wrote in this life. Nothing
    that others say changes it. Looked at every three seconds, and at the end.
    """

    name: ClassVar[str] = "state-own"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._ticks = 0

    def tick(self) -> None:
        self._ticks += 1
        if self._ticks % LOOK_TICKS == 0:
            self.finish()

    def finish(self) -> None:
        for process in self.simulation.processes.values():
            if not process.can_run:
                continue
            replica = process.state.replica(Plane.STATE)
            shown = {each.key: each.value for each in replica.items(owner=process.name)}
            wrote = {key: value for key, value in process.wrote.items() if value is not None}
            if shown != wrote:
                keys = sorted(set(shown.items()) ^ set(wrote.items()))
                self.wrong(f"{process.name} shows other keys of its own: {keys[:3]!r:.200}")
            elif wrote:
                self.ok()


class StateBounded(Checker):
    """No replica holds more records or bytes than its limits (``StateLimits``), and what it says it
    holds is what it holds. No tolerance.
    """

    name: ClassVar[str] = "state-bounded"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._ticks = 0

    def tick(self) -> None:
        self._ticks += 1
        if self._ticks % LOOK_TICKS == 0:
            self.finish()

    def finish(self) -> None:
        for process, replica in replicas_of(self.simulation):
            slots, limits = replica.slots, replica.limits
            records = [held.record for held in slots.held.values()]
            used = (len(records), sum(record.size for record in records))
            lives = sum(map(len, replica.seen.lives.values()))
            where = f"{process.name} ({replica.plane.name})"
            if used != (slots.use.records, slots.use.bytes) or lives != replica.seen.size:
                self.wrong(f"{where}: counts other records than it holds")
            elif used[0] > limits.records or used[1] > limits.bytes or lives > VECTOR_ENTRIES_MAX:
                self.wrong(f"{where}: holds {used[0]} records, {used[1]} bytes, {lives} lives")
            elif any(
                use.records > limits.owner_records or use.bytes > limits.owner_bytes
                for use in slots.use_of.values()
            ):
                self.wrong(f"{where}: holds too much of one writer")
            elif records:
                self.ok()


class StateAgrees(AfterFaults):
    """When faults have ended and nothing is written, two members that count each other where they
    are show the same: the digests of both planes are equal within two walks through the members,
    the longest wait between two exchanges and five seconds in which neither changes. In state these
    are the digests over writers that are active: each member forgets the others in its own time.
    And members that have seen the same, with no gap in it, show the same keys and values.

    Not demanded of members without summaries, nor once packets of strangers were let in.
    """

    name: ClassVar[str] = "state-agrees"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._since: dict[tuple[Process, Process, Plane], tuple[int, int, float]] = {}
        self._ticks = 0

    def disturbed(self) -> None:
        super().disturbed()
        self._since.clear()

    def tick(self) -> None:
        if self._calm is None or self.strangers_spoke:
            return
        self._ticks += 1
        running = [each for each in self.simulation.processes.values() if _repairs(each)]
        for plane in Plane:
            for at, one in enumerate(running):
                for other in running[at + 1 :]:
                    self._look(one, other, plane)
        if self._ticks % LOOK_TICKS == 0:
            self._compare(running)

    def _look(self, one: Process, other: Process, plane: Plane) -> None:
        mine, theirs = (each.state.planes[plane].digest for each in (one, other))
        key = (one, other, plane)
        if mine == theirs or not (_counts(one, other) and _counts(other, one)):
            if self._since.pop(key, None) is not None:
                self.ok()
            return
        now = self.simulation.now
        since = self._since.get(key)
        if since is None or since[:2] != (mine, theirs):
            self._since[key] = (mine, theirs, now)
        elif now - since[2] > _bound(one, other):
            self._since[key] = (mine, theirs, now)
            seconds = now - since[2]
            self.wrong(f"{plane.name} of {one.name} and {other.name} differs for {seconds:.1f} s")

    def _compare(self, running: list[Process]) -> None:
        for plane in Plane:
            views: dict[int, tuple[str, list[tuple[str, str, bytes | None]]]] = {}
            for process in running:
                replica = process.state.replica(plane)
                lives = replica.seen.lives.values()
                if not replica.digest or any(s.sparse for of in lives for s in of.values()):
                    continue
                items = items_of(replica)
                name, others = views.setdefault(replica.digest, (process.name, items))
                if items == others:
                    self.ok()
                else:
                    self.wrong(f"{process.name} and {name} have one digest and show other keys")


def _bound(one: Process, other: Process) -> float:
    walks = (
        2.0 * len(node.table) * node.awareness.scale(process.config.probe_interval)
        for process in (one, other)
        for node in (node_of(process),)
    )
    return SLACK_SECONDS + 1.25 * START_SECONDS_MAX + max(walks)


def _repairs(process: Process) -> bool:
    return process.can_run and process.config.summaries and not is_leaving(process)


def _counts(process: Process, other: Process) -> bool:
    row = process.engine.member(other.name)
    return row is not None and row.is_active and row.address == other.address
