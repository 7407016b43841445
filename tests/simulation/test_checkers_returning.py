"""Those who are said to be back are asked whether they are: that is no probe, and it ends."""

from __future__ import annotations

import pytest

from trio_gossip.addresses import Address
from trio_gossip.codec.messages import Alive
from trio_gossip.engine import returns
from trio_gossip.engine.origin import Origin
from trio_gossip.events import Reason
from trio_gossip.members import VERSIONS_DEFAULT
from trio_gossip.testing import Findings, Observer, Process, Simulation, attach
from trio_gossip.testing.checkers.probing import RETURN_PINGS, ProbeRate

GHOSTS = 4
"""Names that nobody has: with four pings each more than all probes of a window."""


class Postman(Observer):
    """Notes where packets go."""

    def __init__(self) -> None:
        self.addresses: list[Address] = []

    def sent(self, process: Process, data: bytes, address: Address) -> None:
        self.addresses.append(address)


def pings_of_one_that_asks_ghosts() -> tuple[Findings, int]:
    """One of two members was told in an exchange of ghosts. How many pings they get, and what is
    found.
    """
    simulation = Simulation(1)
    findings = Findings()
    attach(simulation, findings, [ProbeRate])
    for name in "ab":
        simulation.start(name, detector="memberlist")
    simulation.join("b", "a")
    simulation.run(11.0)
    process = simulation.processes["a"]
    ghosts = [Address(f"h-ghost{number}", 7946) for number in range(GHOSTS)]
    postman = Postman()
    simulation.observe(postman)
    for number, address in enumerate(ghosts):
        claim = Alive(1, f"ghost{number}", address, b"", VERSIONS_DEFAULT)
        process.engine._parts.returns.verify(claim, None, Origin(Reason.SYNCED, peer="b"))
    simulation.run(20.0)
    assert len(process.engine.members()) == 2, "a ghost does not answer"
    return findings, sum(address in ghosts for address in postman.addresses)


def test_asking_those_who_are_not_there_is_no_haste_of_probes() -> None:
    findings, pings = pings_of_one_that_asks_ghosts()
    assert pings == GHOSTS * RETURN_PINGS
    assert not findings.violations
    assert findings.checked["probe-rate"] > 0


def test_asking_them_on_and_on_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(returns, "TRIES", 1000)
    findings, pings = pings_of_one_that_asks_ghosts()
    assert pings > GHOSTS * RETURN_PINGS
    assert findings.counts["probe-rate"] > 0
