"""Scenarios out of nothing but a seed: :func:`random_scenario`."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from trio_gossip.testing.scenarios.catalogue import GENTLE, KINDS
from trio_gossip.testing.scenarios.scenario import Scenario
from trio_gossip.testing.simulation.links import LinkFaults

if TYPE_CHECKING:
    from trio_gossip.testing.scenarios.kind import Step

SECONDS_DRAWN: Final = (15.0, 60.0)
"""Of faults, with the LAN and the local profile. The WAN profile has four times as many."""

STEPS_DRAWN: Final = (4, 24)
"""Steps of a random scenario."""

_PROFILES: Final = ("lan",) * 7 + ("local",) * 2 + ("wan",)
_WAN_FACTOR: Final = 4.0


def random_scenario(
    seed: int, *, nodes: tuple[int, int] = (5, 20), gentle: bool | None = None
) -> Scenario:
    """A scenario that follows from ``seed`` alone.

    Args:
        seed: of the drawing, and of the scenario itself.
        nodes: fewest and most members.
        gentle: True for mild faults only, in spite of which the detector has to be right; False
            for all kinds; None lets the seed decide, half and half.
    """
    rng = random.Random(f"scenario {seed}")
    drawn = rng.random() < 0.5
    is_gentle = drawn if gentle is None else gentle
    count = rng.randint(*nodes)
    profile = rng.choice(_PROFILES)
    seconds = rng.uniform(*SECONDS_DRAWN) * (_WAN_FACTOR if profile == "wan" else 1.0)
    seconds = round(seconds, 3)
    names = tuple(f"n{number:02}" for number in range(count))
    return Scenario(
        seed=seed,
        nodes=count,
        seconds=seconds,
        profile=profile,
        config=_config(rng),
        links=_links(rng, profile),
        steps=_steps(rng, names, seconds, gentle=is_gentle),
    )


def _config(rng: random.Random) -> dict[str, Any]:
    """Settings that shift the work without making the detector any weaker."""
    changes: dict[str, Any] = {}
    if rng.random() < 0.2:
        changes["packet_bytes_max"] = rng.randint(900, 1400)
    if rng.random() < 0.2:
        changes["broadcast_queue_max"] = rng.randint(4, 64)
    if rng.random() < 0.1:
        changes["sync_chunk_members"] = 32
    if rng.random() < 0.1:
        changes["stream_pings"] = False
    if rng.random() < 0.1:
        changes["leave_acks"] = rng.randint(1, 8)
    return changes


def _links(rng: random.Random, profile: str) -> LinkFaults:
    """What the links do all the time, within what is mild."""
    latency = (0.02, 0.08) if profile == "wan" else rng.choice(((0.0002, 0.001), (0.001, 0.02)))
    return LinkFaults(
        latency=latency,
        loss=rng.choice((0.0, 0.0, 0.01, 0.04)),
        duplicate=rng.choice((0.0, 0.0, 0.02, 0.1)),
        reorder=rng.choice((0.0, 0.0, 0.1)),
        tail=rng.choice((0.0, 0.0, 0.02)),
    )


def _steps(
    rng: random.Random, names: tuple[str, ...], seconds: float, *, gentle: bool
) -> tuple[Step, ...]:
    kinds = GENTLE if gentle else tuple(KINDS)
    weights = [KINDS[name].weight for name in kinds]
    drawn: Counter[str] = Counter()
    steps: list[Step] = []
    for _ in range(rng.randint(*STEPS_DRAWN)):
        name = rng.choices(kinds, weights)[0]
        kind = KINDS[name]
        at = round(rng.uniform(0.0, seconds), 3)
        if gentle and drawn[name] >= kind.gentle_most:
            continue
        if len(names) <= kind.names[0]:
            continue
        drawn[name] += 1
        steps.append(kind.draw(rng, names, at))
    return tuple(sorted(steps, key=lambda step: step.at))
