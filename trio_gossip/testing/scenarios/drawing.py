"""Scenarios out of nothing but a seed: :func:`random_scenario`."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from trio_gossip.codec.messages import PARCEL_BYTES_MAX
from trio_gossip.testing.scenarios import hostile, keys, letters, writing
from trio_gossip.testing.scenarios.catalogue import GENTLE, KINDS
from trio_gossip.testing.scenarios.outages import trial_of
from trio_gossip.testing.scenarios.plots import plot_of, unheard_goodbye
from trio_gossip.testing.scenarios.scenario import Scenario
from trio_gossip.testing.simulation.links import LinkFaults

if TYPE_CHECKING:
    from trio_gossip.testing.scenarios.kind import Step

SECONDS_DRAWN: Final = (15.0, 60.0)
"""Of faults, with the LAN and the local profile. The WAN profile has four times as many."""

STEPS_DRAWN: Final = (4, 24)
"""Steps of a random scenario."""

NODES_DRAWN: Final = (5, 20)
"""Members of a random scenario, if nobody wants others."""

SMALL: Final = 3
"""Members of the smallest clusters: below them single steps take nobody away."""

SMALL_SHARE: Final = 0.08
"""Of the scenarios have fewer members than asked for: some rules are others there."""

FAVOURITES: Final = (3, 7)
"""Kinds that come together and often in half of all scenarios: what needs two or three faults at
once hardly ever meets them among forty."""

FAVOUR: Final = 12.0
"""How many times likelier they are drawn there."""

HONEST_SHARE: Final = 0.5
"""Of the scenarios are without strangers' packets, after which many rules do not bind any more."""

MEMBERLIST_SHARE: Final = 0.5
"""Of scenarios whose members detect failures by memberlist's rules."""

SEALED_SHARE: Final = 0.15
"""Of the scenarios have a sealed cluster, in which keys are changed."""

ROUNDS_SHARE: Final = 0.125
"""Of the scenarios gossip in memberlist's rounds alone, without eager copies."""

PACKETS_ONLY_SHARE: Final = 0.5
"""Of the scenarios refuse broadcasts that fit no packet; the others announce them."""

LETTERS_SHARE: Final = 1 / 2
"""Of the scenarios try such broadcasts."""

LETTERS_DRAWN: Final = (2, 8)
"""Steps that do, there."""

UNHEARD_SHARE: Final = 0.15
"""Of the rough scenarios have a goodbye that one member cannot hear."""

STATE_SHARE: Final = 1 / 3
"""Of the scenarios write state."""

TOMBSTONE_SECONDS: Final = (2.0, 3600.0, 5.0, 3600.0, 20.0)
"""For which deleted keys are remembered there: in most so short that they are collected, also
before all have heard of it."""

WRITES_DRAWN: Final = (3, 12)
"""Steps that write it, there."""

_PROFILES: Final = ("lan",) * 7 + ("local",) * 2 + ("wan",)
_LAN_PROFILES: Final = ("lan", "lan", "fast", "safe")
_WAN_FACTOR: Final = 4.0


def random_scenario(
    seed: int, *, nodes: tuple[int, int] = NODES_DRAWN, gentle: bool | None = None
) -> Scenario:
    """A scenario that follows from ``seed`` alone.

    Args:
        seed: of the drawing, and of the scenario itself.
        nodes: fewest and most members; by default a few scenarios have less, ``SMALL`` at
            least.
        gentle: True for mild faults only, in spite of which the detector has to be right; False
            for all kinds; None lets the seed decide, half and half.
    """
    rng = random.Random(f"scenario {seed}")
    drawn = rng.random() < 0.5
    is_gentle = drawn if gentle is None else gentle
    count = rng.randint(*nodes)
    if nodes == NODES_DRAWN and rng.random() < SMALL_SHARE:
        count = rng.randint(SMALL, nodes[0])
    profile = rng.choice(_PROFILES)
    seconds = rng.uniform(*SECONDS_DRAWN) * (_WAN_FACTOR if profile == "wan" else 1.0)
    seconds = round(seconds, 3)
    names = tuple(f"n{number:02}" for number in range(count))
    sealed = random.Random(f"sealed {seed}").random() < SEALED_SHARE
    config = _exchange(seed, _config(rng, profile))
    if profile == "lan":
        profile = random.Random(f"profile {seed}").choice(_LAN_PROFILES)
    if random.Random(f"rounds {seed}").random() < ROUNDS_SHARE:
        config["eager_copies"] = 0
    if random.Random(f"lazy {seed}").random() < PACKETS_ONLY_SHARE:
        config["lazy_bytes"] = PARCEL_BYTES_MAX
    if random.Random(f"detector {seed}").random() < MEMBERLIST_SHARE:
        config["detector"] = "memberlist"
    links = _links(rng, profile)
    steps = _steps(rng, names, seconds, gentle=is_gentle, sealed=sealed)
    plot = plot_of(seed, names, gentle=is_gentle)
    if plot is not None:
        config |= plot.config
        taken = {step.kind for step in plot.steps} if is_gentle else set[str]()
        kept = [step for step in steps if step.kind not in taken]  # not too many of a kind
        steps = tuple(sorted((*kept, *plot.steps), key=lambda step: step.at))
        seconds = max(seconds, plot.seconds)
    trial = trial_of(seed, names) if "detector" not in config else None
    unheard = random.Random(f"unheard {seed}")
    if trial is not None and profile != "wan" and not is_gentle:
        steps, seconds = trial
    elif not is_gentle and unheard.random() < UNHEARD_SHARE:
        goodbye = unheard_goodbye(unheard, names)
        config |= goodbye.config
        steps = (*steps, *goodbye.steps)
        seconds = max(seconds, goodbye.seconds)
    written = _writes(seed, names, seconds)
    if written:
        lasting = random.Random(f"tombstones {seed}").choice(TOMBSTONE_SECONDS)
        config["state_tombstone_time"] = lasting
    beside = (*written, *_letters(seed, names, seconds))
    steps = tuple(sorted((*steps, *beside), key=lambda step: step.at))
    return Scenario(
        seed=seed,
        nodes=count,
        seconds=seconds,
        profile=profile,
        config=config,
        links=links,
        sealed=sealed,
        steps=steps,
    )


def _config(rng: random.Random, profile: str) -> dict[str, Any]:
    """Settings that shift the work without making the detector any weaker."""
    changes: dict[str, Any] = {}
    if rng.random() < 0.2:
        changes["packet_bytes_max"] = rng.randint(900, 1400)
    if rng.random() < 0.3:
        changes["broadcast_queue_max"] = rng.randint(4, 64)
    if rng.random() < 0.1:
        changes["sync_chunk_members"] = 32
    if rng.random() < 0.15:
        changes["sync_concurrent_max"] = rng.randint(1, 6)
    if rng.random() < 0.1:
        changes["stream_pings"] = False
    if rng.random() < 0.1:
        changes["leave_acks"] = rng.randint(1, 8)
    if rng.random() < 0.15:
        changes["rejoin_interval"] = 5.0
    if rng.random() < 0.15:
        changes["gossip_to_dead_time"] = changes["reap_time"] = 60.0 if profile == "wan" else 12.0
    if rng.random() < 0.1:
        changes["push_pull_interval"] = 150.0
    return changes


def _exchange(seed: int, config: dict[str, Any]) -> dict[str, Any]:
    """Sometimes another mode of exchanges. Where all only push, they do it often: who missed
    something has to wait until a whole table comes by.
    """
    mode = random.Random(f"exchange {seed}").choices(
        ("push-pull", "push", "pull"), (6.0, 1.0, 1.0)
    )[0]
    if mode == "push-pull":
        return config
    if mode == "push":
        config["push_pull_interval"] = 2.0
    return config | {"exchange": mode}


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


def _weights(rng: random.Random, kinds: tuple[str, ...], *, sealed: bool) -> list[float]:
    """How likely each kind is in one scenario: in half of them a few are favoured, and in half
    no stranger speaks. Where nothing is sealed there are no keys to change.
    """
    honest = rng.random() < HONEST_SHARE
    without = {kind.name for kind in hostile.KINDS} if honest else set[str]()
    if not sealed:
        without |= {kind.name for kind in keys.KINDS}
    weights = [0.0 if name in without else KINDS[name].weight for name in kinds]
    if rng.random() < 0.5:
        for place in rng.sample(range(len(kinds)), rng.randint(*FAVOURITES)):
            weights[place] *= FAVOUR
    return weights


def _steps(
    rng: random.Random, names: tuple[str, ...], seconds: float, *, gentle: bool, sealed: bool
) -> tuple[Step, ...]:
    # These are drawn by chances of their own.
    without = {kind.name for kind in (*writing.KINDS, *letters.KINDS)}
    kinds = tuple(name for name in (GENTLE if gentle else KINDS) if name not in without)
    weights = _weights(rng, kinds, sealed=sealed)
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


def _writes(seed: int, names: tuple[str, ...], seconds: float) -> tuple[Step, ...]:
    """What is written, and when: beside all that happens otherwise, which it does not change."""
    rng = random.Random(f"state {seed}")
    if rng.random() >= STATE_SHARE:
        return ()
    weights = [kind.weight for kind in writing.KINDS]
    kinds = rng.choices(writing.KINDS, weights, k=rng.randint(*WRITES_DRAWN))
    return tuple(kind.draw(rng, names, round(rng.uniform(0.0, seconds), 3)) for kind in kinds)


def _letters(seed: int, names: tuple[str, ...], seconds: float) -> tuple[Step, ...]:
    """Broadcasts that fit no packet: beside all else as well."""
    rng = random.Random(f"letters {seed}")
    if rng.random() >= LETTERS_SHARE:
        return ()
    (kind,) = letters.KINDS
    count = rng.randint(*LETTERS_DRAWN)
    return tuple(kind.draw(rng, names, round(rng.uniform(0.0, seconds), 3)) for _ in range(count))
