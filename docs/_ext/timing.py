"""The tables of times, computed by the classes that the engine itself uses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from trio_gossip.config import Config
from trio_gossip.engine.formulas import (
    confirmations_wanted,
    push_pull_scale,
    retransmit_limit,
    suspicion_minimum,
)
from trio_gossip.engine.graded import GradedSuspicion
from trio_gossip.engine.suspicion import Suspicion
from trio_gossip.failures import Evidence

SIZES: Final = (2, 3, 4, 10, 30, 100, 1000, 10000)


def suspicion_rows() -> Iterator[list[str]]:
    """N, then the seconds of a suspicion at the LAN preset with 0, 1 and 2 confirmations."""
    config = Config.lan(name="x")
    for n in SIZES:
        minimum = suspicion_minimum(config.suspicion_mult, n, config.probe_interval)
        wanted = confirmations_wanted(config.suspicion_mult, n)
        row = [str(n)]
        for confirmations in range(3):
            suspicion = Suspicion(
                incarnation=1,
                started=0.0,
                minimum=minimum,
                maximum=minimum * config.suspicion_max_timeout_mult,
                wanted=wanted,
                accusers=[str(number) for number in range(confirmations + 1)],
            )
            possible = confirmations <= wanted
            row.append(f"{suspicion.timeout:.2f}" if possible else "")
        yield row


def graded_rows() -> Iterator[list[str]]:
    """A class, then the seconds of a suspicion at the LAN profile with 0, 1 and 2 confirmations,
    and with two members.
    """
    config = Config.lan(name="x")
    for evidence in Evidence:
        row = [f"``{evidence.name}``"]
        for wanted, confirmations in ((2, 0), (2, 1), (2, 2), (0, 0)):
            found = {str(number): evidence for number in range(confirmations + 1)}
            suspicion = GradedSuspicion(1, 0.0, 0.0, wanted, found)
            possible = suspicion.evidence is evidence
            row.append(f"{suspicion.duration(config, 0):.2f}" if possible else "")
        yield row


def scale_rows() -> Iterator[list[str]]:
    """N, how often each message is sent by each member, and seconds between push/pulls."""
    config = Config.lan(name="x")
    for n in SIZES:
        interval = config.push_pull_interval * push_pull_scale(n)
        yield [str(n), str(retransmit_limit(config.retransmit_mult, n)), f"{interval:g}"]
