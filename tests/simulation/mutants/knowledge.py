"""The part of the gauntlet about what all should know alike: state, long messages, both sides of a
schism, a member that moved.
"""

from __future__ import annotations

from tests.simulation.mutants.gauntlet import RecordedWorld, Recorder
from trio_gossip.addresses import Address
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import IndirectPing
from trio_gossip.services.state_records import Plane


def _note_state(world: RecordedWorld) -> None:
    """Note what each process shows."""
    for name, process in world.processes.items():
        for plane in Plane:
            replica = process.state.replica(plane)
            items = [(record.dot, record.key, record.value) for record in replica.items()]
            world.recorder.note(name, plane, replica.digest, items)


def writing(recorder: Recorder) -> None:
    """State is written and deleted under loss, by several at once, by members that end, come back
    with another clock, and are reaped.
    """
    world = RecordedWorld(recorder, 23, loss=0.2)
    names = world.crowd(6, gossip_to_dead_time=6.0, reap_time=12.0)
    world.start("n06")  # which remembers the dead for longer
    world.join("n06", "n00")
    world.run(3.0)
    for turn in range(24):
        name = names[turn % 6]
        world.write(name, f"key {turn % 4}", b"value %d " % turn * (1 + turn % 3))
        world.write(name, "mine", b"x" * (turn * 50))
        for writer in names[turn % 4 : turn % 4 + 3]:
            world.write(writer, f"shared {turn % 3}", b"%d" % turn, shared=True)
        if turn % 5 == 4:
            world.write(name, f"key {turn % 4}", None)
            world.write(name, f"shared {turn % 3}", None, shared=True)
        if turn > 18:
            for writer in names:
                world.do(writer, "update_meta", b"%d" % turn * 200)
        world.run(0.2)
    for number in range(4):
        world.write("n01", f"long {number}", b"long" * 10_000)
    world.run(0.5)
    _note_state(world)
    world.crash("n05")
    world.crash("n04")
    world.run(1.0)
    world.start("n04", gossip_to_dead_time=6.0, reap_time=12.0)
    world.join("n04", "n00")
    world.wall_offset = -30.0
    world.crash("n03")
    world.start("n03", gossip_to_dead_time=6.0, reap_time=12.0)
    world.join("n03", "n00")
    world.write("n03", "late", b"by another clock")
    world.run(4.0)
    world.write("n03", "key 1", b"once more")
    world.write("n03", "shared 1", b"once more", shared=True)
    world.run(30.0)
    world.links.heal()
    _note_state(world)
    world.start("n07")
    world.join("n07", "n01")
    world.run(20.0)
    _note_state(world)
    world.look()


def missing(recorder: Recorder) -> None:
    """A member hears nothing of two writes until nobody tells of them any more."""
    world = RecordedWorld(recorder, 43)
    names = world.crowd(5)
    world.run(5.0)
    world.write("n00", "before", b"1")
    world.run(5.0)
    for name in names[:4]:
        world.links.change_one(name, "n04", loss=1.0)
    world.write("n00", "first", b"1")
    world.write("n00", "second", b"2")
    world.run(2.0)
    world.links.heal()
    world.run(10.0)
    _note_state(world)
    world.look()


def letters(recorder: Recorder) -> None:
    """Long broadcasts of several members at once, over links that lose and streams that break."""
    world = RecordedWorld(recorder, 29, loss=0.2)
    names = world.crowd(8)
    world.run(3.0)
    for turn in range(6):
        for name in names[: 1 + turn % 3]:
            world.do(name, "broadcast", b"letter %d " % turn * (200 + 100 * turn))
        if turn == 3:
            world.links.change(latency=(0.4, 1.4))
        elif turn == 5:
            world.links.change(dial_hang=0.6)
        world.run(2.5)
    world.links.heal()
    world.run(40.0)
    world.look()


def schism(recorder: Recorder) -> None:
    """Halves that have reaped each other, with one member that left and one that crashed."""
    world = RecordedWorld(recorder, 31)
    changes = {"gossip_to_dead_time": 6.0, "reap_time": 10.0, "rejoin_interval": 5.0}
    names = world.crowd(8, **changes)
    world.run(3.0)
    links = world.links
    links.cut([(a, b) for a in names[:4] for b in names[4:]])
    links.cut([(b, a) for a in names[:4] for b in names[4:]])
    world.run(1.0)
    world.crash("n07")
    world.leave("n03")
    world.run(24.0)
    links.heal()
    world.run(40.0)
    world.look()
    links.cut([pair for name in names for pair in (("n02", name), (name, "n02"))])
    world.run(12.0)
    links.heal()
    world.run(20.0)
    world.look()


def deaf(recorder: Recorder) -> None:
    """A member sleeps while many change and one dies, and has no room for what it missed."""
    world = RecordedWorld(recorder, 41)
    names = world.crowd(9)
    world.run(3.0)
    world.processes["n06"].inbox_limit = 8
    world.pause("n06")
    world.run(1.0)
    world.crash("n05")
    for turn in range(7):
        for name in names[:5]:
            world.do(name, "update_meta", b"meta %d" % turn)
        world.run(4.0)
    world.resume("n06")
    world.run(20.0)
    world.look()


def elsewhere(recorder: Recorder) -> None:
    """Members that are asked for help with one that they hold at another address, and often."""
    world = RecordedWorld(recorder, 37)
    world.crowd(4)
    world.run(3.0)
    codec = NativeCodec()
    source = Address("h-n01", 7946)
    for number in range(40):
        at = Address("h-n02", 7946 if number % 2 else 7000)
        request = IndirectPing(1000 + number, "n02", at, "n01", 400)
        world.inject("n00", codec.pack([codec.encode(request)]), source)
        world.run(0.5)
    world.look()
