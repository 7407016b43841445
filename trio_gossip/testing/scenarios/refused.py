"""Steps with what must be refused and counted: each says so, and a checker holds it to that.

Nothing of it has any effect on a sound member, so that the other rules bind as before.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from trio_gossip.addresses import Address
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.frames import FRAME_BYTES_MAX, frame_header
from trio_gossip.codec.messages import Alive, Broadcast, Conflict, MessageChunk, MessageOpen, Ping
from trio_gossip.members import MemberState, Versions
from trio_gossip.testing.checkers.counting import REFUSAL_DUE
from trio_gossip.testing.checkers.sealed import sealed
from trio_gossip.testing.scenarios.forged import open_stream
from trio_gossip.testing.scenarios.kind import Kind, SkipStep, Span

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from trio_gossip.codec.messages import Frame, Message
    from trio_gossip.testing.scenarios.kind import Step, Undo
    from trio_gossip.testing.scenarios.stage import Stage
    from trio_gossip.testing.simulation.process import Process

MESSAGE_BYTES: Final = 300_000
"""Most bytes of a message that is held: more than that takes too long to make. Only where
``message_bytes_max`` is not above it does a member have to refuse some."""

MESSAGES_TRIED: Final = 7
"""Messages that are begun at once: more than may be held."""

_CODEC: Final = NativeCodec()
_STRANGER: Final = Address("stranger", 7946)
_VERSIONS: Final = Versions().pack()
_FAR: Final = 5000  # beyond the window of broadcasts that are remembered
_PAYLOAD_BYTES: Final = 60
_CHUNK_BYTES: Final = 100_000


def _pack(*messages: Message) -> bytes:
    return _CODEC.pack([_CODEC.encode(message) for message in messages])


def _alive(victim: str, incarnation: int, versions: bytes) -> bytes:
    return _pack(Alive(incarnation, f"{victim}-ghost", _STRANGER, b"", versions))


_MALFORMED: Final[tuple[Callable[[str], bytes], ...]] = (
    lambda victim: _alive(victim, 0, _VERSIONS),
    lambda victim: _alive(victim, 1, _VERSIONS[:2]),
    lambda victim: _alive(victim, 1, _VERSIONS + b"\x01"),
    lambda victim: _pack(Ping(7, victim, "stranger")) + b"\x00",
)
"""Packets of which one thing is wrong."""


def _throw(stage: Stage, victim: Process, packet: bytes) -> None:
    """Let a packet of a stranger arrive, which nobody will believe: it excuses nothing."""
    simulation = stage.simulation
    simulation.injected["refusable"] += 1
    runtime = simulation._runtime  # pyright: ignore[reportPrivateUsage] - inject() excuses
    runtime.arrive(victim, packet, _STRANGER)


def _due(stage: Stage, victim: Process, counters: str) -> None:
    stage.simulation.note(REFUSAL_DUE + counters, (victim.name,))


def _repeated(one: Callable[[Stage, Process, random.Random], None]) -> Callable[..., None]:
    """A step that does something to one member as often as its amount says."""

    def begin(stage: Stage, step: Step) -> None:
        (name,) = step.names
        stage.running(name)
        if stage.simulation.sealing is not None:
            raise SkipStep("strangers cannot speak")
        rng = stage.rng(step)

        def now() -> None:
            victim = stage.simulation.processes.get(name)
            if victim is not None and victim.can_run:
                one(stage, victim, rng)

        for _ in range(int(step.amount)):
            stage.simulation.at(step.seconds * rng.random(), now)

    return begin


def _malformed(stage: Stage, victim: Process, rng: random.Random) -> None:
    packet = rng.choice(_MALFORMED)(victim.name)
    _due(stage, victim, "packet_")
    _throw(stage, victim, packet)


def _conflict(stage: Stage, victim: Process, _rng: random.Random) -> None:
    packet = _pack(Conflict(victim.name, victim.address, _STRANGER))
    _due(stage, victim, "conflict_ignored")
    _throw(stage, victim, packet)


def _long_frame(stage: Stage, victim: Process, _rng: random.Random) -> None:
    _due(stage, victim, "frame_")
    open_stream(stage, victim, [frame_header(2 * FRAME_BYTES_MAX) + bytes(8)], breaks=True)


def _held_messages(stage: Stage, step: Step) -> None:
    (name,) = step.names
    victim = stage.present(name)
    size = min(victim.config.message_bytes_max, MESSAGE_BYTES)
    for _ in range(MESSAGES_TRIED):
        frames: list[Frame | bytes] = [MessageOpen("stranger", victim.name, size)]
        left = size - 1
        while left:
            frames.append(MessageChunk(bytes(min(left, _CHUNK_BYTES))))
            left -= min(left, _CHUNK_BYTES)
        open_stream(stage, victim, frames)


def _impostor(stage: Stage, step: Step) -> Undo:
    """A stranger broadcasts in the name of a member that nobody knows yet; then it comes, and
    broadcasts itself. At the end it leaves.
    """
    (seed,) = step.names
    victim = stage.present(seed)
    simulation = stage.simulation
    name = f"i{int(step.at * 1000)}-{seed}"
    if simulation.sealing is not None or name in simulation.processes:
        raise SkipStep("strangers cannot speak, or it is there")
    process = simulation.start(name, config=stage.config_of(name))
    epoch = process.first_incarnation
    for counter in range(1, int(step.amount) + 1):
        _throw(stage, victim, _pack(Broadcast(name, epoch, _FAR + counter, b"forged")))
    stage.addresses[name] = process.address
    simulation.join(name, stage.addresses[seed])

    def speak(number: int) -> None:
        # A step may end before it has said everything.
        is_there = process.engine.local.state is MemberState.ALIVE
        if process.running and process.can_run and is_there:
            payload = sealed(b"%d %s" % (number, name.encode()), _PAYLOAD_BYTES)
            simulation.do(name, "broadcast", payload)

    for number in range(int(step.amount)):
        simulation.at(step.seconds / 2 + 0.1 * number, partial(speak, number))

    def go() -> None:
        if not process.running:
            return
        if len(process.active_names()) > 1:
            simulation.leave(name)
        else:
            stage.crash(name)

    return go


def _kind(name: str, about: str, begin: Callable[..., None], weight: float = 0.4) -> Kind:
    return Kind(
        name=name,
        about=about,
        begin=begin,
        names=(1, 1),
        amount=Span(1.0, 1000.0),
        amounts=Span(3.0, 12.0),
        counts=True,
        seconds=Span(0.0, 3600.0),
        durations=Span(0.0, 5.0),
        weight=weight,
    )


KINDS: Final = (
    _kind("malformed", "this many packets with one thing wrong", _repeated(_malformed), 0.7),
    _kind("false-conflicts", "this many conflicts that strangers invent", _repeated(_conflict)),
    _kind("long-frames", "this many streams with a frame of a megabyte", _repeated(_long_frame)),
    Kind(
        name="impostor",
        about="this many broadcasts in the name of a newcomer that comes a moment later",
        begin=_impostor,
        names=(1, 1),
        amount=Span(1.0, 20.0),
        amounts=Span(1.0, 5.0),
        counts=True,
        seconds=Span(0.0, 3600.0),
        durations=Span(8.0, 20.0),
        gentle_most=1,
        weight=0.7,
    ),
    Kind(
        name="held-messages",
        about="strangers send a member several long messages at once, and never their ends",
        begin=_held_messages,
        names=(1, 1),
        gentle_most=1,
        weight=0.4,
    ),
)
"""Kinds of this theme."""
