"""What a failed test says about its network: the seed, what was injected, and the last records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trio_gossip.testing.trace import line_of

if TYPE_CHECKING:
    from trio_gossip.testing.kit.network import GossipNetwork

LINES: Final = 20
"""Records of the trace that are shown, the last ones."""

DEEDS: Final = 10
"""Records that are no packets, shown before: a few seconds of packets hide them otherwise."""

_PACKETS: Final = ("send", "deliver", "lose", "dial", "stream")


def failure_report(network: GossipNetwork, test: str, *, lines: int = LINES) -> str:
    """Text for a person whose test has failed.

    Args:
        network: as the failure left it.
        test: the test, as it is named on pytest's command line.
        lines: records to show.
    """
    counts = network.statistics()
    done = {
        "lost": counts.lost,
        "cut": counts.cut,
        "duplicated": counts.duplicated,
        "held back": counts.reordered,
    }
    packets = ", ".join(f"{number} {what}" for what, number in done.items() if number)
    calls = ", ".join(f"{what} {number} x" for what, number in network.injected.items())
    told = list(network.trace)
    text = [
        f"seed {network.seed}; to see it again: pytest '{test}' --gossip-seed={network.seed}",
        f"faults: {calls or 'none'}",
        f"packets: {counts.sent} sent, {packets or 'all well'}; digest {network.digest()}",
    ]
    if told:
        deeds = [record for record in told if record[1] not in _PACKETS][-DEEDS:]
        text += [f"the last {len(deeds)} records that are no packets:", *map(line_of, deeds)]
        shown = told[-lines:]
        text += [f"the last {len(shown)} of {network.trace.count} records:", *map(line_of, shown)]
    else:
        text.append("no member was started")
    return "\n".join(text)
