"""Steps in which a member hears claims of others that are old, invented, or ahead of their time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import Alive, Dead, Suspect
from trio_gossip.members import ALIVE_JUMP_MAX, INCARNATION_JUMP_MAX, OWN_JUMP_MAX, MemberState
from trio_gossip.testing.scenarios.kind import Excused, Kind, Span

if TYPE_CHECKING:
    import random

    from trio_gossip.codec.messages import Claim
    from trio_gossip.members import Member
    from trio_gossip.testing.scenarios.kind import Step
    from trio_gossip.testing.scenarios.stage import Stage

_CODEC: Final = NativeCodec()
_STEPS_AHEAD: Final = 3


def _hearsay(stage: Stage, step: Step) -> None:
    """Claims that a plain cluster must be able to live with, as links repeat and delay packets and
    members may be wrong: about whomever the victim holds at that time.
    """
    (victim,) = step.names
    stage.running(victim)
    rng = stage.rng(step)

    def arrive() -> None:
        process = stage.simulation.processes.get(victim)
        if process is None:
            return
        others = [row for row in process.engine.members(all=True) if row.name != victim]
        active = [row for row in others if row.is_active]
        if len(active) < 2:
            return
        # Rows in another state than alive are rare, and it is with them that rules differ.
        odd = [row for row in others if row.state is not MemberState.ALIVE]
        row = rng.choice(odd if odd and rng.random() < 0.7 else others)
        accuser = rng.choice([each for each in active if each is not row])
        claim = _claim(rng, row, accuser)
        packet = _CODEC.pack([_CODEC.encode(claim)])
        stage.simulation.inject(victim, packet, accuser.address)

    for _ in range(int(step.amount)):
        stage.simulation.at(step.seconds * rng.random(), arrive)


def _claim(rng: random.Random, row: Member, accuser: Member) -> Claim:
    ahead = row.incarnation + rng.randint(1, _STEPS_AHEAD)
    behind = max(1, row.incarnation - rng.randint(1, _STEPS_AHEAD))
    if row.state is MemberState.SUSPECT:
        who = rng.choice((accuser.name, "nobody"))
        return Suspect(rng.choice((row.incarnation, ahead)), row.name, who)
    if row.state is MemberState.FAILED:
        return rng.choice((Suspect, Dead))(ahead, row.name, accuser.name)
    if row.state is MemberState.LEFT:
        return Dead(rng.choice((row.incarnation, ahead)), row.name, accuser.name)
    lie = rng.randrange(4)
    if lie == 0:
        return Dead(behind, row.name, row.name)
    if lie == 1:
        return Dead(behind, row.name, accuser.name)
    if lie == 2:
        return Suspect(row.incarnation + INCARNATION_JUMP_MAX + 1, row.name, accuser.name)
    far = row.incarnation + rng.choice((ALIVE_JUMP_MAX + 1, OWN_JUMP_MAX + 1))
    return Alive(far, row.name, row.address, row.meta, row.versions)


KINDS: Final = (
    Kind(
        name="hearsay",
        about="this many old, invented or early claims about others reach a member",
        begin=_hearsay,
        names=(1, 1),
        amount=Span(1.0, 10_000.0),
        amounts=Span(5.0, 40.0),
        counts=True,
        seconds=Span(0.0, 3600.0),
        durations=Span(2.0, 20.0),
        excused=Excused.EVERYBODY,
        weight=1.5,
    ),
)
"""Kinds of this theme."""
