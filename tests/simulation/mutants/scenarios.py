"""What happens in the gauntlet: one run for each kind of trouble."""

from __future__ import annotations

from tests.simulation.mutants.catalogue import Mutant
from tests.simulation.mutants.gauntlet import RecordedWorld, Recorder, Scenario
from tests.simulation.mutants.knowledge import (
    deaf,
    elsewhere,
    letters,
    missing,
    schism,
    writing,
)
from tests.simulation.mutants.lies import forged, garbage, old_news
from trio_gossip.addresses import Address
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import Message, Suspect
from trio_gossip.config import Config
from trio_gossip.members import Versions
from trio_gossip.testing.simulation.simulation import WALL_CLOCK

_CODEC = NativeCodec()


def pack(*messages: Message) -> bytes:
    """A packet of a liar."""
    return _CODEC.pack([_CODEC.encode(message) for message in messages])


def life(recorder: Recorder) -> None:
    """Loss, duplication and reordering; crashes, restarts, leaves, messages, pauses, reaping."""
    world = RecordedWorld(recorder, 3, loss=0.1, duplicate=0.1, tail=0.2)
    names = world.crowd(7)
    for turn in range(60):
        name = names[turn % 3]
        payload = b"message %d " % turn + b"x" * (turn * 3)
        world.do(name, "broadcast", payload)
        if turn % 5 == 0:
            meta = b"meta %d" % turn
            world.do(name, "update_meta", meta)
        if turn == 10:
            world.crash("n03")
            world.attempt(world.command, "n01", "ping", "n03")
        elif turn in (13, 33):
            world.pause("n04")
            world.at(1.2, lambda: world.resume("n04"))
        elif turn == 20:
            world.start("n03")
            world.join("n03", "n01")
        elif turn in (2, 4, 24, 25):
            world.do("n03", "broadcast", b"n03 %d" % turn)
        elif turn == 26:
            world.command("n05", "leave")
        elif turn == 31:
            world.join("n05", "n00")
        elif turn == 36:
            world.crash("n06")
        elif turn == 38:
            world.start("n06", address=Address("h-n06", 9000))
            world.join("n06", "n02")
        elif turn == 45:
            world.leave("n04")
        world.run(0.7)
    world.crash("n03")
    world.run(80.0)
    world.look()


def few(recorder: Recorder) -> None:
    """Two and three members, one of which dies."""
    for count in (2, 3):
        world = RecordedWorld(recorder, count)
        names = world.crowd(count)
        world.run(5.0)
        world.do(names[0], "update_meta", b"meta")
        world.crash(names[-1])
        world.run(40.0)
        world.look()


def split(recorder: Recorder) -> None:
    """Halves that lose each other for a minute, and a link on which only streams work."""
    world = RecordedWorld(recorder, 5)
    names = world.crowd(8)
    world.run(5.0)
    for pair in (("n00", "n01"), ("n01", "n00")):
        world.links.change_one(*pair, loss=1.0)
    world.run(12.0)
    world.links.heal()
    world.links.cut(_between(names[:4], names[4:]))
    world.run(70.0)
    world.do("n00", "update_meta", b"left")
    world.links.heal()
    world.links.cut(_between(names[:7], names[7:]))
    world.run(40.0)
    world.links.heal()
    world.run(90.0)
    world.look()


def lost_incarnation(recorder: Recorder) -> None:
    """Members that come back with a first incarnation below their last, at once and much later."""
    world = RecordedWorld(recorder, 7)
    world.crowd(6)
    world.do("n01", "update_meta", b"former life")
    world.run(10.0)
    for wait in (1.0, 12.0, 60.0):
        for name in ("n01", "n02"):
            world.crash(name)
            world.run(wait)
            world.start(name, incarnation=1 + int(wait))
            world.join(name, "n00")
            world.run(5.0)
    world.run(30.0)
    world.look()


def twins(recorder: Recorder) -> None:
    """Two live processes of one name, a second name at an address, and a moved name."""
    world = RecordedWorld(recorder, 9)
    world.crowd(5)
    world.run(3.0)
    world.processes["first n01"] = world.processes.pop("n01")
    world.start("n01", address=Address("h-n01", 9001), incarnation=WALL_CLOCK + 500)
    world.join("n01", "n00")
    world.run(15.0)
    world.crash("n02")
    former = Address("h-n02", 7946)
    world.start("other", address=former, incarnation=WALL_CLOCK + 100)
    world.join("other", "n00")
    world.run(30.0)
    world.crash("n03")
    world.run(20.0)
    world.start("n03", address=Address("h-n03", 9003))
    world.join("n03", "n00")
    world.run(25.0)
    world.look()


def refusals(recorder: Recorder) -> None:
    """Members that others do not admit, and settings that cannot be."""
    world = RecordedWorld(recorder, 11)
    world.start("a", admit=lambda member: member.name != "x")
    world.start("b")
    world.join("b", "a")
    world.start("x")
    world.join("x", "b")
    world.join("x", "a")
    world.start("y", versions=Versions(user_min=3, user_max=4, user=3))
    world.join("y", "b")
    world.run(40.0)
    world.attempt(Config.lan, name="c", probe_timeout=9.0)
    world.look()


def limits(recorder: Recorder) -> None:
    """A crowd with long metadata, queues that are full, messages that are too long."""
    world = RecordedWorld(recorder, 13, loss=0.02)
    changes = {"broadcast_queue_max": 4, "sync_concurrent_max": 5, "packet_bytes_max": 1100}
    changes["lazy_bytes"] = 65536  # what is too long for a packet is refused
    names = world.crowd(18, **changes, meta=b"m" * 300)
    for turn in range(30):
        name = names[turn % len(names)]
        world.do(name, "broadcast", b"%d" % turn * (40 + 7 * turn))
        world.do(name, "update_meta", b"n" * (100 + turn))
        world.run(0.03)
    world.attempt(world.do, "n00", "broadcast", b"x" * 1200)
    world.attempt(world.do, "n00", "update_meta", b"x" * 600)
    world.run(5.0)
    world.crash("n17")
    world.run(40.0)
    world.look()


def streams(recorder: Recorder) -> None:
    """Dials that are refused, hang or break; commands that must end all the same."""
    world = RecordedWorld(recorder, 17)
    world.crowd(4)
    world.run(3.0)
    world.join("n00", "nobody")
    world.do("n00", "packet_refused", Address("h-n01", 7946))
    world.command("n00", "send_reliable", "n01", bytes(200_000))
    world.run(0.002)
    world.crash("n01")
    world.run(1.0)
    world.links.change(dial_hang=1.0)
    world.join("n02", "n03")
    world.attempt(world.command, "n00", "send_reliable", "n02", bytes(10))
    world.run(30.0)
    world.look()


def late_news(recorder: Recorder) -> None:
    """Broadcasts that overtake each other, a leave that one member learns of from a table, and
    twelve members that gossip in memberlist's way.
    """
    world = RecordedWorld(recorder, 7, reorder=0.5, hold=0.5)
    world.crowd(2)
    for turn in range(20):
        world.do("n00", "broadcast", b"message %d" % turn)
        world.run(0.05)
    world.look()
    world = RecordedWorld(recorder, 9)
    world.crowd(12, eager_copies=0)
    world.run(3.0)
    world.do("n00", "broadcast", b"message")
    world.run(3.0)
    world = RecordedWorld(recorder, 8, reorder=0.5, hold=0.5)
    names = world.crowd(5)
    world.run(5.0)
    for turn in range(20):
        world.do("n00", "broadcast", b"message %d" % turn)
        world.run(0.05)
    world.run(5.0)
    world.links.cut(_between(names[:4], names[4:]))
    world.leave("n03")
    world.run(2.0)
    world.links.heal()
    world.join("n04", "n00")
    world.run(5.0)
    world.look()


def doubts(recorder: Recorder) -> None:
    """A long pause, a silent network, a killed process and a host that is gone, with one helper
    each; accusations that are forged, and suspects that answer and cannot refute.
    """
    world = RecordedWorld(recorder, 19, loss=0.02)
    names = world.crowd(7, helpers=1)
    world.run(5.0)
    world.pause("n01")
    world.run(7.5)
    world.resume("n01")
    world.run(6.0)
    world.links.cut(_between(names[:1], names[1:]))
    world.run(2.6)
    world.links.heal()
    world.run(3.0)
    world.crash("n06")
    world.run(8.0)
    world.crash("n05", host=True)
    world.run(3.6)
    for name in names[:4]:
        world.pause(name)
    world.run(1.1)
    for name in names[:4]:
        world.resume(name)
    world.run(8.0)
    for age, evidence in ((0, 0), (600_000, 2)):
        for hearer, subject in (("n00", "n02"), ("n03", "n01")):
            held = world.processes[hearer].engine.member(subject)
            assert held is not None
            claim = Suspect(held.incarnation, subject, "n04", evidence, age, (("nobody", 2),))
            world.inject(hearer, pack(claim), world.processes["n04"].address)
            world.run(4.0)
    for other in ("n00", "n01", "n02", "n03"):
        world.links.change_one("n04", other, mtu=40)
    world.pause("n04")
    world.run(5.0)
    world.resume("n04")
    world.run(15.0)
    world.look()


def judges(recorder: Recorder) -> None:
    """All who would judge a host that is gone stand still in the moment of the verdict; and a
    suspect comes back that answers, but whose refutation no link carries.
    """
    world = RecordedWorld(recorder, 23)
    names = world.crowd(7)
    world.run(5.0)
    world.crash("n06", host=True)
    world.run(4.1)
    for name in names[:6]:
        world.pause(name)
    world.run(1.5)
    for name in names[:6]:
        world.resume(name)
    world.run(10.0)
    for other in names[:5]:
        world.links.change_one("n05", other, mtu=24)
    world.pause("n05")
    world.run(7.0)
    world.resume("n05")
    world.run(15.0)
    world.look()


def _between(some: list[str], others: list[str]) -> list[tuple[str, str]]:
    """Both directions of all links from one group to the other."""
    return [pair for one in some for other in others for pair in ((one, other), (other, one))]


GAUNTLET = (
    *(few, refusals, garbage, streams, late_news, old_news, twins, forged),
    *(elsewhere, deaf, missing, letters, writing, doubts, judges),
    *(lost_incarnation, life, schism, split, limits),
)
"""All of them, the short ones first."""

LIKELY = {
    "broadcasts": (late_news, life),
    "corruption": (garbage,),
    "crowd": (limits,),
    "datagram cut": (split,),
    "full queue": (limits,),
    "hostile": (forged, garbage),
    "leave": (late_news, life),
    "long broadcasts": (letters,),
    "long run": (schism, split),
    "loss": (deaf, life),
    "lost incarnation": (lost_incarnation,),
    "meta": (life,),
    "move": (elsewhere, twins),
    "oversize": (limits,),
    "partition": (schism, split),
    "pause": (deaf, life),
    "refusal": (refusals,),
    "reorder": (old_news, late_news, life),
    "restart": (life,),
    "state": (missing, writing),
    "stream cut": (streams,),
    "twin": (twins,),
}
"""Where a bug that needs something is likely to show: to be tried before the others."""


def likely_first(mutant: Mutant) -> list[Scenario]:
    """All scenarios, those first in which the mutant should show."""
    likely = [scenario for need in mutant.needs for scenario in LIKELY.get(need, ())]
    return list(dict.fromkeys((*likely, *GAUNTLET)))
