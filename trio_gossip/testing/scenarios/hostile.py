"""Steps that throw packets at members: from strangers, and with addresses of members forged.

What is here a plain cluster withstands. Forged goodbyes, deaths and newcomers it does not, and
cannot without keys: they would belong here once there are some.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from trio_gossip.addresses import Address
from trio_gossip.codec import DecodeError, NativeCodec
from trio_gossip.codec.messages import Ack, Alive, Dead, IndirectPing, Nack, Ping, Suspect
from trio_gossip.codec.wire import PACKET_BYTES_MAX
from trio_gossip.members import INCARNATION_JUMP_MAX, INCARNATION_MAX, OWN_JUMP_MAX, MemberState
from trio_gossip.testing.scenarios.kind import Excused, Kind, SkipStep, Span

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from trio_gossip.codec.messages import Message
    from trio_gossip.testing.scenarios.kind import Step
    from trio_gossip.testing.scenarios.stage import Stage

_CODEC: Final = NativeCodec()
_STRANGER: Final = Address("stranger", 7946)
_TWIN: Final = Address("twin", 7946)
_GARBAGE_BYTES: Final = 200
_TRIES: Final = 8


def _pack(*messages: Message) -> bytes:
    return _CODEC.pack([_CODEC.encode(message) for message in messages])


def _throw(make: Callable[[Stage, str, random.Random], bytes | None]) -> Callable[..., None]:
    """A step that has ``amount`` packets arrive at one member, spread over its seconds."""

    def begin(stage: Stage, step: Step) -> None:
        (victim,) = step.names
        stage.running(victim)
        rng = stage.rng(step)
        for _ in range(int(step.amount)):
            stage.simulation.at(step.seconds * rng.random(), partial(arrive, stage, victim, rng))

    def arrive(stage: Stage, victim: str, rng: random.Random) -> None:
        if victim not in stage.simulation.processes:
            return
        packet = make(stage, victim, rng)
        if packet is not None:
            stage.simulation.inject(victim, packet, _source(stage, victim, rng))

    return begin


def _source(stage: Stage, victim: str, rng: random.Random) -> Address:
    """A stranger's address, or that of a member."""
    others = [name for name in stage.names if name != victim]
    return _STRANGER if rng.random() < 0.5 else stage.addresses[rng.choice(others)]


def _garbage(_stage: Stage, _victim: str, rng: random.Random) -> bytes | None:
    return _unless_valid(rng.randbytes(rng.randrange(_GARBAGE_BYTES)))


def _unless_valid(packet: bytes) -> bytes | None:
    """Damage that makes another valid packet is forgery, which is not meant here."""
    try:
        _CODEC.unpack_untrusted(packet)
    except DecodeError:
        return packet
    return None


def _cut_short(stage: Stage, _victim: str, rng: random.Random) -> bytes | None:
    packets = stage.recorder.packets
    if not packets:
        return None
    packet, _, _ = rng.choice(packets)
    return _unless_valid(packet[: rng.randrange(len(packet))])


def _flipped(stage: Stage, _victim: str, rng: random.Random) -> bytes | None:
    packets = stage.recorder.packets
    if not packets:
        return None
    packet, _, _ = rng.choice(packets)
    for _ in range(_TRIES):
        damaged = bytearray(packet)
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
        spoiled = _unless_valid(bytes(damaged))
        if spoiled is not None:
            return spoiled
    return None


def _later_version(_stage: Stage, victim: str, rng: random.Random) -> bytes | None:
    """Another version of the wire, or a message of a code that this one does not know."""
    if rng.random() < 0.5:
        packet = bytearray(_pack(Ping(rng.getrandbits(32), victim, "stranger")))
        packet[1] = rng.randint(2, 23)
        return bytes(packet)
    code = rng.randint(11, 23)
    return _CODEC.pack([bytes([0x83, code, rng.randrange(24), rng.randrange(24)])])


def _oversized(_stage: Stage, _victim: str, rng: random.Random) -> bytes | None:
    return bytes(PACKET_BYTES_MAX + rng.randint(1, 100))


def _implausible(stage: Stage, victim: str, rng: random.Random) -> bytes | None:
    """Accusations far above any incarnation that anybody can have reached, also of the victim."""
    low = 2_000_000_000 + INCARNATION_JUMP_MAX
    incarnation = rng.choice((low, 2**40, 2**50, INCARNATION_MAX))
    claim = rng.choice((Suspect, Dead))
    subject, accuser = rng.sample([name for name in stage.names if name != victim], 2)
    if incarnation > OWN_JUMP_MAX + low and rng.random() < 0.5:
        subject = victim  # which may outbid the lower ones
    return _pack(claim(incarnation, subject, accuser))


def _forged_answer(_stage: Stage, _victim: str, rng: random.Random) -> bytes | None:
    number = rng.getrandbits(32)
    return _pack(Ack(number) if rng.random() < 0.5 else Nack(number))


def _foreign_ping(stage: Stage, _victim: str, rng: random.Random) -> bytes | None:
    """Pings for somebody else, and requests of strangers to ping somebody."""
    number = rng.getrandbits(32)
    if rng.random() < 0.5:
        return _pack(Ping(number, rng.choice(stage.names), "stranger"))
    target = rng.choice(stage.names)
    where = rng.choice((stage.addresses[target], _STRANGER))
    return _pack(IndirectPing(number, target, where, "stranger", rng.randint(0, 5000)))


def _replay(stage: Stage, step: Step) -> None:
    """Packets of this run arrive again where they went, from where they came."""
    rng = stage.rng(step)
    simulation = stage.simulation

    def again() -> None:
        packets = stage.recorder.packets
        if not packets:
            return
        packet, sender, address = rng.choice(packets)
        for name, process in simulation.processes.items():
            if process.address == address:
                simulation.inject(name, packet, sender.address)
                return

    for _ in range(int(step.amount)):
        simulation.at(step.seconds * rng.random(), again)


def _slander(stage: Stage, step: Step) -> None:
    """One member hears that another suspects a third, which nobody does. It is for that third to
    refute.
    """
    hearer, subject, accuser = step.names
    process = stage.present(hearer)
    for name in (subject, accuser):
        stage.present(name)
    held = process.engine.member(subject)
    if held is None or held.state is not MemberState.ALIVE:
        raise SkipStep(f"{hearer} does not hold {subject} for alive")
    if len(stage.present(subject).active_names()) < 2:
        # Its joins have failed so far. Whoever accuses it is a stranger to it, and a stranger gets
        # no more bytes than it sent: a refutation is too long.
        raise SkipStep(f"{subject} knows nobody whom it could answer")
    stage.simulation.inject(
        hearer, _pack(Suspect(held.incarnation, subject, accuser)), stage.addresses[accuser]
    )


def _twin(stage: Stage, step: Step) -> None:
    """The first member hears, again and again, that the second lives elsewhere; that one is there
    and answers when it is asked, so nothing must change but that people are told.
    """
    hearer, subject = step.names
    stage.present(hearer)
    stage.present(subject)
    rng = stage.rng(step)

    def claim() -> None:
        process = stage.simulation.processes.get(hearer)
        row = None if process is None else process.engine.member(subject)
        if row is not None and row.state is MemberState.ALIVE:
            voucher = rng.choice(("", *stage.all_present()))
            alive = Alive(row.incarnation + 1, subject, _TWIN, row.meta, row.versions, voucher)
            stage.simulation.inject(hearer, _pack(alive), _TWIN)

    for _ in range(int(step.amount)):
        stage.simulation.at(step.seconds * rng.random(), claim)


def _thrown(name: str, about: str, make: Callable[..., bytes | None]) -> Kind:
    return Kind(
        name=name,
        about=about,
        begin=_throw(make),
        names=(1, 1),
        amount=Span(1.0, 10_000.0),
        amounts=Span(3.0, 40.0),
        counts=True,
        seconds=Span(0.0, 3600.0),
        durations=Span(0.0, 10.0),
        weight=0.5,
    )


KINDS: Final = (
    _thrown("garbage", "this many packets of random bytes", _garbage),
    _thrown("cut-short", "this many packets of the run without their ends", _cut_short),
    _thrown("bit-flips", "this many packets of the run with a wrong bit", _flipped),
    _thrown(
        "later-version", "this many packets of other versions or with unknown codes", _later_version
    ),
    _thrown("oversized", "this many packets that are larger than any can be", _oversized),
    _thrown("implausible", "this many accusations of impossible incarnations", _implausible),
    _thrown("forged-answers", "this many answers to questions that nobody asked", _forged_answer),
    _thrown("foreign-pings", "this many pings for others and requests of strangers", _foreign_ping),
    Kind(
        name="replay",
        about="this many packets of the run arrive once more",
        begin=_replay,
        amount=Span(1.0, 10_000.0),
        amounts=Span(5.0, 100.0),
        counts=True,
        seconds=Span(0.0, 3600.0),
        durations=Span(0.0, 10.0),
    ),
    Kind(
        name="twin",
        about="the first member hears this many times that the second lives at another address",
        begin=_twin,
        names=(2, 2),
        amount=Span(1.0, 1000.0),
        amounts=Span(2.0, 10.0),
        counts=True,
        seconds=Span(0.0, 3600.0),
        durations=Span(1.0, 10.0),
        excused=Excused.MEMBERS,
        weight=1.6,
    ),
    Kind(
        name="slander",
        about="the first member hears that the third suspects the second, which is not true",
        begin=_slander,
        names=(3, 3),
    ),
)
"""Kinds of this theme."""

NEED_PACKETS: Final = frozenset({"cut-short", "bit-flips", "replay", "false-nacks"})
"""Kinds that need the packets of the run."""
