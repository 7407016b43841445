"""Steps of which the detector that weighs evidence promises something: processes that stand still,
hosts that are gone or silent for a moment, and what liars say of others' silence.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final

from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import ACCUSERS_MAX, AGE_MS_MAX, IndirectPing, Nack, Suspect
from trio_gossip.failures import Evidence
from trio_gossip.members import MemberState
from trio_gossip.testing.scenarios.clocks import pause
from trio_gossip.testing.scenarios.cuts import isolate
from trio_gossip.testing.scenarios.kind import Excused, Kind, Span, Step
from trio_gossip.testing.scenarios.lives import DOWN, DOWN_DRAWN

if TYPE_CHECKING:
    from trio_gossip.codec.messages import Message
    from trio_gossip.testing.scenarios.kind import Undo
    from trio_gossip.testing.scenarios.stage import Stage

STALL_SECONDS: Final = 9.0
"""Longest pause that is drawn: the default profile forgives ten seconds."""

SILENT_SECONDS: Final = 7.5
"""Longest silence of a network that is drawn: ``Config.safe`` forgives eight seconds."""

TRIAL_SHARE: Final = 0.3
"""Of the random scenarios of this detector have nothing but outages, one after the other."""

TRIAL_GAP: Final = 45.0
"""Seconds between them, after which the former one is forgotten."""

_CODEC: Final = NativeCodec()
_ANY_TIME: Final = Span(0.0, 3600.0)
_FORGED_AGES: Final = (0, 400, 5000, 60_000, AGE_MS_MAX)


def _host_gone(stage: Stage, step: Step) -> None:
    (name,) = step.names
    stage.running(name)
    stage.may_lose_one()
    stage.crash(name, host=True)


def _reboot(stage: Stage, step: Step) -> Undo:
    """The host is gone, and a new process comes with it."""
    _host_gone(stage, step)
    (name,) = step.names
    return lambda: stage.start(name, stage.rng(step))


def _false_words(stage: Stage, step: Step) -> None:
    """Accusations in the name of members, of strangers and of the hearer itself, by evidence and
    with ages that nobody can have told. Each is about a member that lives and can refute it.
    """
    (victim,) = step.names
    stage.running(victim)
    rng = stage.rng(step)

    def arrive() -> None:
        process = stage.simulation.processes.get(victim)
        if process is None:
            return
        alive = [
            row
            for row in process.engine.members()
            if row.state is MemberState.ALIVE and row.name != victim
        ]
        present = stage.all_present()
        about = [row for row in alive if row.name in present]
        if len(about) < 2:
            return
        subject, source = rng.sample(about, 2)
        gone = [row.name for row in process.engine.members(all=True) if not row.is_active]
        odd = [victim, "nobody", "stranger", subject.name, *gone]
        names = list(dict.fromkeys([*odd, *(row.name for row in about)]))
        others = {
            name: (name, int(rng.choice(list(Evidence))))
            for name in rng.sample(names, rng.randrange(len(names)))
        }
        claim = Suspect(
            subject.incarnation,
            subject.name,
            rng.choice(names),
            int(rng.choice(list(Evidence))),
            rng.choice(_FORGED_AGES),
            tuple(others.values())[: ACCUSERS_MAX - 1],
        )
        stage.simulation.inject(victim, _pack(claim), source.address)

    for _ in range(int(step.amount)):
        stage.simulation.at(step.seconds * rng.random(), arrive)


def _false_nacks(stage: Stage, step: Step) -> None:
    """Nacks to requests that were really made, of strangers and of members that were not asked."""
    (victim,) = step.names
    stage.running(victim)
    rng = stage.rng(step)

    def arrive() -> None:
        process = stage.simulation.processes.get(victim)
        if process is None:
            return
        asked = [
            request
            for packet, sender, _ in stage.recorder.packets
            if sender is process and (request := _request_of(packet)) is not None
        ]
        sequence = asked[-1].sequence if asked else rng.getrandbits(32)
        source = rng.choice([stage.addresses[name] for name in stage.names if name != victim])
        nack = Nack(sequence, int(rng.choice(list(Evidence))))
        stage.simulation.inject(victim, _pack(nack), source)

    for _ in range(int(step.amount)):
        stage.simulation.at(step.seconds * rng.random(), arrive)


def _request_of(packet: bytes) -> IndirectPing | None:
    if packet[:1] == b"\x98" or len(packet) < 4 or packet[3] != IndirectPing.code:
        return None
    message = _CODEC.unpack_untrusted(packet)[0]
    return message if isinstance(message, IndirectPing) else None


def _pack(message: Message) -> bytes:
    return _CODEC.pack([_CODEC.encode(message)])


def trial_of(seed: int, names: tuple[str, ...]) -> tuple[tuple[Step, ...], float] | None:
    """Steps and seconds of a scenario in which one outage comes after the other and nothing else;
    None for most seeds.
    """
    rng = random.Random(f"trial {seed}")
    if rng.random() >= TRIAL_SHARE:
        return None
    at = round(rng.uniform(1.0, 4.0), 3)
    kind = KIND_BY_NAME[rng.choice(("stall", "nic-stall"))]
    first = kind.draw(rng, names, at)
    then = round(at + first.seconds + TRIAL_GAP, 3)
    gone = Step(at=then, kind=rng.choice(("host-gone", "crash")), names=(rng.choice(names),))
    return (first, gone), round(then + 20.0, 3)


_THROWN: Final[dict[str, Any]] = {
    "names": (1, 1),
    "amount": Span(1.0, 10_000.0),
    "amounts": Span(3.0, 40.0),
    "counts": True,
    "seconds": _ANY_TIME,
    "durations": Span(0.0, 10.0),
    "weight": 0.7,
}

KINDS: Final = (
    Kind(
        name="stall",
        about="a process stands still for some seconds, and the default profile forgives it",
        begin=pause,
        names=(1, 1),
        seconds=_ANY_TIME,
        durations=Span(1.5, STALL_SECONDS),
        excused=Excused.MEMBERS,
        weight=1.5,
    ),
    Kind(
        name="nic-stall",
        about="the network lets nothing through to or from a member for some seconds",
        begin=isolate,
        names=(1, 1),
        seconds=_ANY_TIME,
        durations=Span(0.3, SILENT_SECONDS),
        excused=Excused.EVERYBODY,
    ),
    Kind(
        name="host-gone",
        about="the host of a member is gone and nothing comes back from it",
        begin=_host_gone,
        names=(1, 1),
        gentle_most=1,
    ),
    Kind(
        name="reboot",
        about="the host of a member is gone, and comes back with a new process",
        begin=_reboot,
        names=(1, 1),
        seconds=DOWN,
        durations=DOWN_DRAWN,
    ),
    Kind(
        name="false-words",
        about="this many accusations with forged accusers, evidence and ages",
        begin=_false_words,
        excused=Excused.EVERYBODY,
        **_THROWN,
    ),
    Kind(
        name="false-nacks",
        about="this many nacks of members that nobody asked",
        begin=_false_nacks,
        **_THROWN,
    ),
)
"""Kinds of this theme."""

KIND_BY_NAME: Final = {kind.name: kind for kind in KINDS}
"""The same by name."""
