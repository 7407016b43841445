"""What the papers and memberlist promise, in numbers. Written anew for the checkers: a wrong
formula in the engine must not be right here.

N is the number of alive and suspect members that a process counts, itself included.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from trio_gossip.engine.tally import mark_of

if TYPE_CHECKING:
    from trio_gossip.config import Config

SLACK_PROBES: Final = 4
"""Probe intervals that a bound may be late: the phase of the first tick, a tick that had to wait
for a long round, and the round itself."""

PUSHES_WAITED: Final = 40.0
"""Intervals of exchanges which only push, until a whole table has come to everybody."""

SPREAD_SECONDS: Final = 5.0
"""For gossip to reach whom it reaches, and for streams to open and end."""


TRANSMISSIONS: Final = 4
"""``retransmit_mult`` of memberlist's LAN and WAN presets. With less gossip promises nothing."""


def transmit_limit(config: Config, n: int) -> int:
    """How often one member sends one piece of news: ``mult * ceil(log10(N + 1))``
    (SWIM section 5: a small multiple of log N), with eager copies never less than the floor.
    """
    digits = 0
    while 10**digits < n + 1:
        digits += 1
    limit = config.retransmit_mult * digits
    return max(limit, config.transmit_floor) if config.eager_copies else limit


def lossy_limit(config: Config, n: int) -> int:
    """The same for a member to which many probes say that packets get lost."""
    limit = transmit_limit(config, n)
    return max(limit, config.lossy_transmit_floor) if config.eager_copies else limit


def gossip_pause(config: Config) -> float:
    """Longest time in which a process with something to tell, and somebody to tell, is silent."""
    if not config.eager_copies:
        return config.gossip_interval
    return config.cold_interval + max(config.cold_gaps)


def suspicion_range(config: Config, n: int) -> tuple[float, float]:
    """Shortest and longest suspicion in seconds (Lifeguard section IV-B, memberlist's scale)."""
    shortest = config.suspicion_mult * max(1.0, math.log10(n)) * config.probe_interval
    longest = shortest * config.suspicion_max_timeout_mult
    return shortest, longest if confirmations(config, n) else shortest


def confirmations(config: Config, n: int) -> int:
    """Accusers beside the first that shorten a suspicion (K); 0 where too few could confirm."""
    return max(0, config.suspicion_mult - 2) if n >= config.suspicion_mult else 0


def suspicion_seconds(config: Config, n: int, confirmed: int) -> float:
    """How long a suspicion lasts after so many confirmations: falls with their logarithm."""
    shortest, longest = suspicion_range(config, n)
    k = confirmations(config, n)
    if k == 0:
        return shortest
    share = math.log(min(confirmed, k) + 1) / math.log(k + 1)
    return max(shortest, longest - (longest - shortest) * share)


def walk_probes(n: int) -> int:
    """Probes after which a member has met every other one: it walks through all in a random order
    and shuffles after each walk, so two meetings are at most two walks apart (SWIM section 4.3).
    """
    return 2 * max(n - 1, 1)


def attempt_seconds(config: Config) -> float:
    """Longest attempt to reach a member, of a healthy process: the question, and three times two
    timeouts for helpers (``docs/detector``).
    """
    return 7 * config.rto_ceil + 0.03


def graded_seconds(
    config: Config, evidence: int, confirmed: int, wanted: int, health: int
) -> float:
    """How long a suspicion lasts that evidence has led to (``docs/detector``).

    Args:
        config: the floors.
        evidence: 0 silent, 1 stalled, 2 refused.
        confirmed: accusers beside the first.
        wanted: confirmations after which nothing more is gained; 0 with two members.
        health: the score of who waits.
    """
    floors = {0: config.floor_silent, 1: config.floor_stalled, 2: config.floor_refused}
    floor = floors[evidence] * (health + 1)
    if evidence == 2:
        return floor
    if wanted == 0:
        return floor * config.solo_factor
    most = config.max_factor * max(config.floor_silent * (health + 1), floor)
    logarithm = math.log(min(confirmed, wanted) + 1, wanted + 1)
    return max(floor, most - (most - floor) * logarithm)


def age_max(config: Config) -> float:
    """The oldest that a suspicion is believed to be: it was kept quiet, and confirmed by a few
    timeouts of asking.
    """
    return config.quiet + 4 * config.rto_ceil


def graded_longest(config: Config) -> float:
    """The longest suspicion to reckon with: hardly anybody confirms it, or the process was paused
    before it was gone.
    """
    return config.max_factor * config.floor_silent + config.floor_stalled


def detection_probes(config: Config, n: int) -> float:
    """Healthy probe intervals in which a process finds out alone that a member is gone: it meets it
    within two walks, its probe fails, nobody confirms.

    By evidence: it meets it in its scan, suspects it in private, has that confirmed at the third
    try, and waits for long.
    """
    if config.detector == "evidence":
        private = config.quiet + 3 * (attempt_seconds(config) + 2 * config.reprobe)
        seconds = attempt_seconds(config) + private + graded_longest(config)
        return walk_probes(n) + SLACK_PROBES + seconds / config.scan_interval
    _, longest = suspicion_range(config, n)
    return walk_probes(n) + SLACK_PROBES + longest / config.probe_interval


def push_pull_seconds(config: Config, n: int) -> float:
    """Seconds between the exchanges of one member: longer by a step with each doubling above 32."""
    return config.push_pull_interval * max(1, math.ceil(math.log2(max(n, 2)) - 5) + 1)


def repair_seconds(config: Config, n: int) -> float:
    """When who missed the news of a living member has heard of it by periodic exchanges.

    Where it asks itself, at its second exchange, as the first peer may have missed them too. Where
    members only push, it waits for others: every fourth of theirs brings a whole table to a random
    member, and forty intervals without one are ten times the mean, one chance in 22,000.
    """
    rounds = PUSHES_WAITED if config.exchange == "push" else 2.0
    return rounds * push_pull_seconds(config, n)


def settle_seconds(config: Config, n: int) -> float:
    """When all agree after the faults have ended, if no part of the cluster is lost to the others.

    Two things go on at once. Whoever is gone is found out by each alone, at the latest. And who
    missed the news of a living member exchanges tables with a random peer, which may have missed
    them too: two exchanges. Both end in a refutation or a death that has to spread.
    """
    interval = config.scan_interval if config.detector == "evidence" else config.probe_interval
    alone = detection_probes(config, n) * interval
    return max(alone, repair_seconds(config, n)) + SPREAD_SECONDS


def heal_seconds(config: Config) -> float:
    """When parts of a cluster that lost each other have met again.

    A member tries one lost address about every ``rejoin_interval``, at most 1.5 times that, with
    the probability lost / N: the whole cluster makes at least one try that can succeed in
    that time, mostly many. Six such times are missed once in four hundred runs of the worst
    case, in which one member is lost beside many dead ones; one try hardly ever fails after
    the faults have ended.
    """
    return 6 * 1.5 * config.rejoin_interval


def ring_order(me: str, names: list[str]) -> list[str]:
    """Members as they follow ``me`` when all stand in a ring by the hash of their names."""
    here = (mark_of(me), me)
    return sorted(names, key=lambda name: ((mark_of(name), name) < here, mark_of(name), name))


def class_of(found: list[int], wanted: int) -> int:
    """What the findings of accusers make of a silence: 2 refused, 1 stalled, 0 silent. Refused
    needs two of them where a third member could confirm.
    """
    if found.count(2) >= (2 if wanted else 1):
        return 2
    return 1 if 1 in found else 0


def known_seconds(config: Config, *, host: bool) -> float:
    """When all know that one member is gone, of a cluster to which nothing else happens.

    The one before it asks it within an interval; if packets are lost, the next time. Then helpers
    are asked, the floor passes, and the news spreads.
    """
    found = 2 * (config.ring_interval or 0.0) + 2 * config.rto_ceil
    if config.kernel_evidence and config.stream_pings and not host:
        return found + config.floor_refused
    return found + config.floor_silent + config.min_public + SPREAD_SECONDS


def back_seconds(config: Config) -> float:
    """When a member that most hold failed is counted by all again: it asks one of them in its next
    two intervals, and its refutation spreads.
    """
    interval = max(config.scan_interval, config.ring_interval or 0.0)
    return 2 * interval + 2 * config.rto_ceil + SPREAD_SECONDS
