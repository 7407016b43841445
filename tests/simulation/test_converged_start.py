"""Engines that begin as a cluster at rest, on one shared base."""

from __future__ import annotations

import random

import attrs
import pytest

from tests.engine.clusters import states
from tests.simulation.world import WALL_CLOCK, Process, World
from trio_gossip.addresses import Address
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import Ack, Ping
from trio_gossip.config import Config
from trio_gossip.engine import Engine, SendPacket
from trio_gossip.events import (
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberReaped,
    MemberSuspected,
    MemberUpdated,
)
from trio_gossip.members import Member, MemberState
from trio_gossip.testing.simulation.shared_table import SharedTable, TableBase

CODEC = NativeCodec()
NAMES = [f"n{number}" for number in range(20)]


def converged(seed: int = 1) -> tuple[World, TableBase]:
    """A world of members that all know each other."""
    world = World(seed)
    base = TableBase.of(
        [Member(name, Address(f"h-{name}", 7946), MemberState.ALIVE, WALL_CLOCK) for name in NAMES]
    )
    for name in NAMES:
        rng = random.Random(world.rng.getrandbits(64))
        member = base.rows[name].member
        engine = Engine(
            Config.lan(name=name),
            member.address,
            rng=rng,
            packet_limit=1400,
            incarnation=member.incarnation,
            codec=CODEC,
            table=SharedTable(base, rng),
        )
        process = Process(name, member.address, engine, member.incarnation)
        world.processes[name] = process
        world._at[member.address] = process
        world._turn(process, engine.start(now=world.now, known=True))
    return world, base


def private_rows(process: Process) -> list[str]:
    return list(process.engine._node.table._rows)


def test_a_cluster_at_rest_stays_at_rest_and_copies_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kinds: set[type] = set()

    def read(self: World, process: Process, output: SendPacket) -> None:
        kinds.update(map(type, CODEC.unpack_untrusted(output.data)))
        packet(self, process, output)

    packet = World._packet
    monkeypatch.setattr(World, "_packet", read)
    world, _ = converged()
    world.run(90.0)
    assert world.agree()
    assert kinds == {Ping, Ack}
    for process in world.processes.values():
        statistics = process.engine.statistics()
        assert statistics.membership_queue == 0
        assert statistics.counters["sync_done"] > 0  # whole tables were merged, too
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
    world.do("n2", lambda engine, now: engine.update_meta(b"new", now=now))
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
        world.start(name, Address(at, 7946))
        world.join(name, "n0")
    world.run(10.0)
    world.crash("n4")
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
        return [(name, process.events) for name, process in world.processes.items()]

    assert run(5) == run(5)
    assert run(5) != run(6)
