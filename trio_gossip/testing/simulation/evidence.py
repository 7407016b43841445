"""What hosts say of processes that are gone: the kernel's word, which outlives its processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import random

    from trio_gossip.addresses import Address
    from trio_gossip.testing.simulation.links import Links
    from trio_gossip.testing.simulation.process import Process

REFUSALS_BURST: Final = 6
"""Refusals of packets that a host sends to another at once; one a second after that, as Linux."""

BACKLOG_MAX: Final = 256
"""Streams that the host of a process takes while that cannot accept them. Beyond it there is no
answer to who dials; it asks again after 1 s, 3 s, 7 s and so on."""


class Evidence:
    """Which host refuses what, and to whom.

    A process that was killed is refused for by its host: each dial, and now and then a packet. A
    host that is gone says nothing, and what it says does not cross a cut.

    Args:
        links: between the hosts.
        rng: decides which refusals are lost; of its own, so that all else keeps its fate.
    """

    def __init__(self, links: Links, rng: random.Random) -> None:
        self._links = links
        self._rng = rng
        self._hosts: dict[Address, str] = {}
        self._gone: dict[Address, None] = {}
        self._allowance: dict[tuple[Address, Address], tuple[float, float]] = {}

    def appeared(self, process: Process) -> None:
        """A process listens at an address, whose host is there then."""
        self._hosts[process.address] = process.name
        self._gone.pop(process.address, None)

    def host_gone(self, address: Address) -> None:
        """From now on nobody answers there."""
        self._gone[address] = None

    def answers(self, process: Process, address: Address) -> bool:
        """Whether the host of an address where nobody listens can tell ``process`` so.

        The host of an address at which nobody ever was is there, and behind no cut.
        """
        host = self._hosts.get(address)
        if address in self._gone:
            return False
        return host is None or not self._links.is_severed(process.name, host)

    def refuse(
        self, process: Process, address: Address, now: float, *, arrived: bool = False
    ) -> float | None:
        """When ``process`` hears that its packet to ``address`` found nobody; None for never.

        Args:
            process: sent the packet.
            address: where nobody listens.
            now: virtual seconds.
            arrived: the packet is there now; otherwise it leaves now.
        """
        if not process.config.kernel_evidence or not self.answers(process, address):
            return None
        key = (address, process.address)
        left, since = self._allowance.get(key, (float(REFUSALS_BURST), now))
        left = min(REFUSALS_BURST, left + (now - since))
        allowed = left >= 1.0
        self._allowance[key] = (left - 1.0 if allowed else left, now)
        if not allowed:
            self._links.injected["refusal_withheld"] += 1
            return None
        host = self._hosts.get(address, str(address))
        for source, target in ((process.name, host), (host, process.name))[arrived:]:
            faults = self._links.between(source, target)
            if faults.loss and self._rng.random() < faults.loss:
                return None
            now += self._rng.uniform(*faults.latency)
            now = max(now, self._links.clogged_until(source, target, now))
        return now
