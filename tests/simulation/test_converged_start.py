"""Engines that begin as a cluster at rest, on one shared base."""

from __future__ import annotations

import attrs

from tests.engine.clusters import states
from trio_gossip.addresses import Address
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import Ack, Ping
from trio_gossip.events import (
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberReaped,
    MemberSuspected,
    MemberUpdated,
)
from trio_gossip.members import MemberState
from trio_gossip.testing import Observer, Process, Simulation
from trio_gossip.testing.simulation.shared_table import TableBase

CODEC = NativeCodec()
NAMES = [f"n{number}" for number in range(20)]


def converged(seed: int = 1) -> tuple[Simulation, TableBase]:
    """A simulation of members that all know each other, and what they share."""
    simulation = Simulation(seed)
    processes = simulation.start_converged(NAMES)
    return simulation, processes[0].engine._node.table._base


def private_rows(process: Process) -> list[str]:
    return list(process.engine._node.table._rows)


class Kinds(Observer):
    """The kinds of messages that were sent."""

    def __init__(self) -> None:
        self.kinds: set[type] = set()

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        self.kinds.update(map(type, CODEC.unpack_untrusted(data)))


def test_a_cluster_at_rest_stays_at_rest_and_copies_nothing() -> None:
    world, _ = converged()
    watched = Kinds()
    world.observe(watched)
    world.run(90.0)
    assert world.agree()
    assert watched.kinds == {Ping, Ack}
    for process in world.processes.values():
        statistics = process.engine.statistics()
        assert statistics.membership_queue == 0
        assert statistics.counters["sync_skipped"] > 0  # no sum differs: no tables are exchanged
        assert [event.member.name for _, event in process.events] == [process.name]
        assert process.engine.version == 1
        assert private_rows(process) == [process.name]


def test_all_learn_that_one_crashed_and_later_forget_it() -> None:
    world, base = converged()
    world.run(3.0)
    world.crash("n7")

    def known() -> bool:
        return states(world, "n7") == {"failed"}

    assert world.run_until(known, 30.0)
    for process in world.processes.values():
        assert private_rows(process) == [process.name, "n7"]
        (suspected,), (failed,) = process.seen(MemberSuspected), process.seen(MemberFailed)
        assert suspected.member == attrs.evolve(base.rows["n7"].member, state="suspect")
        assert failed.member == attrs.evolve(base.rows["n7"].member, state="failed")
    world.run(40.0)
    for process in world.processes.values():
        assert len(process.seen(MemberReaped)) == 1
        assert len(process.engine.members(all=True)) == 19
        assert process.engine._node.table.tombstone("n7", now=world.now) is not None
    assert base.rows["n7"].member.state is MemberState.ALIVE
    assert world.agree()


def test_all_learn_new_metadata_and_a_goodbye() -> None:
    world, base = converged()
    world.do("n2", "update_meta", b"new")
    world.leave("n5")
    world.run(5.0)
    for name in NAMES[6:]:
        process = world.processes[name]
        (updated,), (left,) = process.seen(MemberUpdated), process.seen(MemberLeft)
        assert (updated.member.meta, updated.previous) == (b"new", base.rows["n2"].member)
        assert left.member == attrs.evolve(base.rows["n5"].member, state="left")
        assert sorted(private_rows(process)) == sorted(["n2", "n5", name])


def test_members_come_back_and_new_ones_come() -> None:
    world, _ = converged()
    world.crash("n3")
    world.run(60.0)  # it is reaped
    world.leave("n4")
    for name, at in (("n3", "h-elsewhere"), ("newcomer", "h-newcomer")):
        world.start(name, address=Address(at, 7946))
        world.join(name, "n0")
    world.run(10.0)
    assert "n4" not in world.processes, "it has left"
    assert states(world, "n3") == states(world, "newcomer") == {"alive"}
    assert states(world, "n4") == {"left", "unknown"}  # those that came last never knew it
    for name in NAMES[5:]:
        process = world.processes[name]
        table = process.engine._node.table
        assert table.name_at(Address("h-n3", 7946)) is None
        assert table.name_at(Address("h-elsewhere", 7946)) == "n3"
        me, *others = [event.member.name for event in process.seen(MemberJoined)]
        assert (me, set(others)) == (name, {"n3", "newcomer"})
    world.run(40.0)
    assert world.agree()


def test_a_run_on_a_shared_base_can_be_repeated() -> None:
    def run(seed: int) -> list[object]:
        world, _ = converged(seed)
        world.run(2.0)
        world.crash("n1")
        world.run(30.0)
        return [(name, list(process.events)) for name, process in world.processes.items()]

    assert run(5) == run(5)
    assert run(5) != run(6)
