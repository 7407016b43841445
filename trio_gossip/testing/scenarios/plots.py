"""Steps and settings that reach something only together, and hardly ever meet by chance."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs

from trio_gossip.testing.scenarios.kind import Step

if TYPE_CHECKING:
    from collections.abc import Callable

PLOT_SHARE: Final = 0.4
"""Of the random scenarios have a plot beside their other steps."""

FEW: Final = 5
"""Members of a small cluster, in which suspicions follow other rules."""

ALONE_SHARE: Final = 0.5
"""Of the graver plots in such a cluster are about that."""

MESSAGE_BYTES: Final = 300_000
"""As many as a step may send reliably."""

APART_SECONDS: Final = 60.0
"""For which the sides of a schism are apart: each has given up the other long before."""

GONE_SECONDS: Final = 45.0
"""After which a crashed member was found out and reaped, on a LAN and with short times for it."""

SETTLED_SECONDS: Final = 6.0
"""After which a restarted member is known to all again, mostly."""

UNHEARD_SECONDS: Final = 5.0
"""For which who does not hear a goodbye is deaf: until nobody tells of it any more, and not so long
that others give it up.
"""

_SPREAD: Final = 10.0


@attrs.frozen(kw_only=True)
class Plot:
    """What a plot adds to a scenario.

    Attributes:
        steps: in any order.
        config: settings, which have the last word.
        seconds: how long the steps need, at least.
    """

    steps: tuple[Step, ...]
    config: dict[str, Any] = attrs.field(factory=dict[str, Any])
    seconds: float = 0.0


Cast: TypeAlias = "tuple[str, ...]"


def _schism(rng: random.Random, names: Cast) -> Plot:
    """Two sides are apart for so long that nothing of the one is left in the gossip, or even in the
    tables, of the other: only tries of lost addresses heal that.
    """
    side = rng.sample(names, rng.randint(min(2, len(names) - 2), len(names) - 2))
    at = _moment(rng)
    config: dict[str, Any] = {"gossip_to_dead_time": 6.0, "reap_time": 12.0, "rejoin_interval": 8.0}
    if rng.random() < 0.5:
        config["reap_time"] = 2 * APART_SECONDS  # in half of them the lost are in the tables yet
    if rng.random() < 0.3:
        config["tombstone_time"] = config["reap_time"]
    step = Step(at=at, kind="halves", names=tuple(side), seconds=APART_SECONDS)
    return Plot(steps=(step,), config=config, seconds=at + APART_SECONDS)


def _relapse(rng: random.Random, names: Cast) -> Plot:
    """A member broadcasts, restarts and broadcasts again: its counter begins anew."""
    (name,) = rng.sample(names, 1)
    at = _moment(rng)
    down = round(rng.uniform(0.1, 8.0), 3)
    again = round(at + 1.0 + down + SETTLED_SECONDS, 3)
    before, after = (float(rng.randint(3, 20)) for _ in range(2))
    steps = (
        Step(at=at, kind="chatter", names=(name,), amount=before, seconds=0.5),
        Step(at=round(at + 1.0, 3), kind="restart", names=(name,), seconds=down),
        Step(at=again, kind="chatter", names=(name,), amount=after, seconds=1.0),
    )
    return Plot(steps=steps, seconds=again + 1.0)


def _full_house(rng: random.Random, names: Cast) -> Plot:
    """More broadcasts than a small queue takes, and news of many members beside them."""
    at = _moment(rng)
    talkers = tuple(rng.sample(names, min(len(names), rng.randint(1, 4))))
    changed = tuple(rng.sample(names, max(2, len(names) * 2 // 3)))
    amount = float(rng.randint(20, 80))
    steps = (
        Step(at=at, kind="flood", names=talkers[:1], amount=amount),
        Step(at=at, kind="chatter", names=talkers, amount=amount, seconds=2.0),
        Step(at=at, kind="churn", names=changed, amount=float(rng.randint(100, 350))),
        Step(at=round(at + 1.0, 3), kind="churn", names=changed, amount=250.0),
    )
    config = {"broadcast_queue_max": rng.randint(4, 40), "packet_bytes_max": rng.randint(900, 1400)}
    return Plot(steps=steps, config=config, seconds=at + 2.0)


def _farewell(rng: random.Random, names: Cast) -> Plot:
    """A member leaves, and others hear wrong or late things of it."""
    gone, *hearers = rng.sample(names, min(3, len(names)))
    at = _moment(rng)
    steps = [Step(at=at, kind="leave", names=(gone,))]
    steps += [
        Step(
            at=round(at + 0.5, 3),
            kind="hearsay",
            names=(hearer,),
            amount=float(rng.randint(15, 40)),
            seconds=_SPREAD,
        )
        for hearer in hearers
    ]
    return Plot(steps=tuple(steps), seconds=at + _SPREAD)


def unheard_goodbye(rng: random.Random, names: Cast) -> Plot:
    """A member leaves while another one is deaf; and as nobody compares sums, that one learns of
    the goodbye from a table.
    """
    gone, hearer = rng.sample(names, 2)
    at = _moment(rng)
    steps = (
        Step(at=at, kind="deaf", names=(hearer,), seconds=UNHEARD_SECONDS),
        Step(at=round(at + 0.5, 3), kind="leave", names=(gone,)),
    )
    config = {"summaries": False, "push_pull_interval": 2.0}
    return Plot(steps=steps, config=config, seconds=at + UNHEARD_SECONDS + SETTLED_SECONDS)


def _return(rng: random.Random, names: Cast) -> Plot:
    """A process leaves and comes back, and then another one crashes, which it has to notice."""
    back, gone = rng.sample(names, 2)
    at = _moment(rng)
    down = round(rng.uniform(0.5, 12.0), 3)
    end = round(at + down + 1.0 + _SPREAD * rng.random(), 3)
    steps = (
        Step(at=at, kind="come-back", names=(back,), seconds=down),
        Step(at=end, kind="crash", names=(gone,)),
    )
    return Plot(steps=steps, seconds=end)


def _big_holds(rng: random.Random, names: Cast) -> Plot:
    """Strangers send whole tables and long messages and never their ends, to members with little
    room for them.
    """
    at = _moment(rng)
    kinds = ("held-tables", "held-messages")
    steps = tuple(Step(at=at, kind=kind, names=tuple(rng.sample(names, 1))) for kind in kinds)
    config = {"members_max": 128, "message_bytes_max": MESSAGE_BYTES, "sync_concurrent_max": 128}
    return Plot(steps=steps, config=config, seconds=at)


def _summit(rng: random.Random, names: Cast) -> Plot:
    """A member comes back at the end of 32 bits, and has to raise its incarnation beyond them."""
    name, hearer, accuser = rng.sample(names, 3)
    at = _moment(rng)
    down = round(rng.uniform(0.1, 4.0), 3)
    later = at + down + SETTLED_SECONDS
    steps = [Step(at=at, kind="restart-high", names=(name,), seconds=down)]
    for number in range(3):
        when = round(later + 2.0 * number, 3)
        steps.append(Step(at=when, kind="slander", names=(hearer, name, accuser)))
    steps.append(Step(at=round(later + 6.0, 3), kind="meta", names=(name,), amount=60.0))
    return Plot(steps=tuple(steps), seconds=round(later + 6.0, 3))


def _long_gone(rng: random.Random, names: Cast) -> Plot:
    """A member comes back with a lost incarnation when of its former life there is a tombstone."""
    (name,) = rng.sample(names, 1)
    at = _moment(rng)
    step = Step(at=at, kind="restart-lost", names=(name,), seconds=GONE_SECONDS)
    config = {"gossip_to_dead_time": 6.0, "reap_time": 6.0}
    return Plot(steps=(step,), config=config, seconds=at + GONE_SECONDS + SETTLED_SECONDS)


def _alone(rng: random.Random, names: Cast) -> Plot:
    """In a cluster with too few members to confirm a suspicion, one cannot be reached."""
    at = _moment(rng)
    step = Step(at=at, kind="isolated", names=tuple(rng.sample(names, 1)), seconds=APART_SECONDS)
    return Plot(steps=(step,), seconds=at + APART_SECONDS)


def _moment(rng: random.Random) -> float:
    return round(rng.uniform(0.0, _SPREAD), 3)


GENTLE_PLOTS: Final[tuple[Callable[[random.Random, Cast], Plot], ...]] = (
    _relapse,
    _full_house,
    _return,
    _summit,
    _big_holds,
)
"""Those in spite of which a detector has to be right."""

PLOTS: Final = (*GENTLE_PLOTS, _schism, _schism, _farewell, _long_gone, _long_gone)
"""All of them, graver ones more often."""


def plot_of(seed: int, names: Cast, *, gentle: bool) -> Plot | None:
    """The plot of a random scenario, if it has one.

    Args:
        seed: of the scenario.
        names: its members, three at least.
        gentle: True for plots in spite of which the detector has to be right.
    """
    rng = random.Random(f"plot {seed}")
    if rng.random() >= PLOT_SHARE:
        return None
    if not gentle and len(names) <= FEW and rng.random() < ALONE_SHARE:
        return _alone(rng, names)
    return rng.choice(GENTLE_PLOTS if gentle else PLOTS)(rng, names)
