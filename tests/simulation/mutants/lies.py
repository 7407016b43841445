"""The hostile part of the gauntlet: old news, forged claims, bad bytes, greedy streams."""

from __future__ import annotations

from tests.simulation.mutants.gauntlet import RecordedWorld, Recorder
from trio_gossip.addresses import Address
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import (
    Alive,
    Broadcast,
    Conflict,
    Dead,
    Frame,
    IndirectPing,
    Message,
    MessageChunk,
    MessageOpen,
    Nack,
    Ping,
    Record,
    Suspect,
    SyncEnd,
    SyncMembers,
    SyncOpen,
)
from trio_gossip.members import VERSIONS_DEFAULT
from trio_gossip.testing.simulation.simulation import WALL_CLOCK

CODEC = NativeCodec()
STRANGER = Address("h-stranger", 7946)


def _pack(*messages: Message) -> bytes:
    return CODEC.pack([CODEC.encode(message) for message in messages])


def _at(name: str) -> Address:
    return Address(f"h-{name}", 7946)


def _alive(name: str, incarnation: int, address: Address | None = None, vouched: str = "") -> Alive:
    return Alive(incarnation, name, address or _at(name), b"", VERSIONS_DEFAULT, vouched)


def old_news(recorder: Recorder) -> None:
    """Claims that were true once, or look as if they had been, come late."""
    world = RecordedWorld(recorder, 21)
    world.crowd(6)
    world.run(5.0)

    def held(name: str) -> int:
        member = world.processes["n00"].engine.member(name)
        return 1 if member is None else member.incarnation

    def tell(source: str, *messages: Message) -> None:
        world.inject("n00", _pack(*messages), _at(source))
        world.run(0.5)

    now = held("n01")
    tell("n02", _alive("n01", now - 1), Suspect(now - 1, "n01", "n02"))
    tell("n02", Dead(now - 1, "n01", "n02"), Dead(now - 1, "n01", "n01"))
    tell("n02", Suspect(now + 3, "n01", "n02"), _alive("n01", now + 2))
    tell("n03", _alive("n03", held("n03") - 1))
    world.run(5.0)
    world.command("n04", "leave")
    world.run(2.0)
    tell("n02", Dead(held("n04"), "n04", "n02"), _alive("n04", held("n04")))
    tell("n04", _alive("n04", held("n04") - 1))
    world.crash("n04")
    world.crash("n05")
    now = held("n05")
    tell("n02", Suspect(now, "n05", "n02"))
    world.run(2.0)
    tell("n02", *(Suspect(now + 1, "n05", accuser) for accuser in ("n02", "n01", "n03")))
    world.run(15.0)
    tell("n02", Dead(now + 9, "n05", "n02"))
    tell("n02", _alive("n05", now + 4))
    tell("n02", _alive("n05", now + 9))
    tell("n05", Ping(1, "n00", "n05"))
    tell("n05", _alive("n05", 3))
    world.run(40.0)
    tell("n02", _alive("n05", now), _alive("n04", held("n04")))
    tell("n05", _alive("n05", 3))
    world.run(10.0)
    world.look()


def forged(recorder: Recorder) -> None:
    """Claims that were never true."""
    world = RecordedWorld(recorder, 23)
    world.crowd(6, members_max=9)
    world.run(5.0)
    for victim in ("n00", "n01"):
        for number in (2**32 - 1, 2**45, 2**61):
            claims = (Suspect(number, "n01", "n02"), _alive("n02", number))
            world.inject(victim, _pack(*claims), _at("n02" if number < 2**40 else "n03"))
            world.run(1.0)
    world.inject("n00", _pack(Broadcast("late", WALL_CLOCK + 30, 1, b"lie")), STRANGER)
    world.start("late", incarnation=WALL_CLOCK + 30)
    world.join("late", "n00")
    world.run(0.5)
    world.do("late", "broadcast", b"truth")
    moved = _alive("n03", 2**31, Address("h-else", 1), vouched="n02")
    world.inject("n00", _pack(moved), STRANGER)
    world.inject(
        "n00", _pack(_alive("alias", 5, _at("n02")), _alive("mine", 5, _at("n00"))), STRANGER
    )
    world.inject("n00", _pack(*(_alive(f"ghost{n}", 5) for n in range(9))), STRANGER)
    world.inject("n00", _pack(_alive("far", 2**50)), STRANGER)
    world.inject("n00", _pack(Conflict("n00", _at("n00"), STRANGER)), STRANGER)
    world.inject("n00", _pack(IndirectPing(1, "n01", _at("n01"), "who", 400)), STRANGER)
    many = [Suspect(2**31 + n, "n00", "n02") for n in range(30)]
    world.inject("n00", _pack(*many), _at("n02"))
    world.inject("n00", _pack(*(Ping(n, "n00", "who") for n in range(40))), STRANGER)
    for number in range(20):
        help_me = IndirectPing(number, "n01", _at("n01"), "n02", 400)
        world.inject("n00", _pack(help_me), _at("n02"))
    world.run(3.0)
    world.crash("n05")
    world.run(2.0)
    for _ in range(200):
        accusers = [Suspect(WALL_CLOCK, "n05", f"nobody{n}") for n in range(5)]
        world.inject("n00", _pack(*accusers), _at("n02"))
        asked = list(world.processes["n00"].engine._node.questions._open)
        world.inject("n00", _pack(*(Nack(each) for each in asked[:20])), STRANGER)
        world.run(0.05)
    world.run(30.0)
    world.look()


def garbage(recorder: Recorder) -> None:
    """Bytes that make no sense, and streams that want too much."""
    world = RecordedWorld(recorder, 25)
    world.crowd(3, members_max=10, message_bytes_max=4000)
    world.run(2.0)
    good = _pack(Suspect(1, "n01", "n02"), _alive("x", 7))
    bad = [good[:-3], good + b"\x00", b"", b"\xff" * 40, good.replace(b"n01", b"\x00\x00\x00")]
    bad.append(good.replace(VERSIONS_DEFAULT, VERSIONS_DEFAULT[::-1]))
    bad.append(_pack(Alive(7, "v", _at("v"), b"", b"\x01")))
    bad.append(_pack(_alive("zero", 0)))
    for data in bad:
        world.attempt(world.inject, "n00", data, STRANGER)
        world.run(0.1)
    records = [Record(f"r{n}", _at(f"r{n}"), b"", VERSIONS_DEFAULT, 5, 0) for n in range(9)]
    opening = SyncOpen("r0", _at("r0"), True)
    _stream(world, [opening, SyncMembers([records[0], records[1], records[1]]), SyncEnd(3)])
    for _ in range(6):
        _stream(world, [opening, SyncMembers(records)])
        _stream(world, [MessageOpen("n01", "n00", 4000), MessageChunk(b"x" * 3500)])
    huge = world.processes["n00"]
    exchange = huge.engine.new_exchange()
    world.do("n00", "exchange_accepted", exchange, STRANGER)
    data = (2**30).to_bytes(4, "big") + b"x" * 100
    world.do("n00", "exchange_received", exchange, data)
    world.run(20.0)
    world.look()


def _stream(world: RecordedWorld, frames: list[Frame]) -> None:
    """A stranger opens a stream to the first member and sends frames on it."""
    exchange = world.processes["n00"].engine.new_exchange()
    data = b"".join(CODEC.encode_frame(frame) for frame in frames)
    world.do("n00", "exchange_accepted", exchange, STRANGER)
    world.attempt(world.do, "n00", "exchange_received", exchange, data)
    world.run(0.05)
