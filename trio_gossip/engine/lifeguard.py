"""memberlist's rules for suspects: the time falls with the logarithm of their accusers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_gossip.codec.messages import Dead
from trio_gossip.engine.formulas import confirmations_wanted, suspicion_minimum
from trio_gossip.engine.judging import Case, Judge
from trio_gossip.engine.suspicion import Suspicion
from trio_gossip.events import Reason

if TYPE_CHECKING:
    from trio_gossip.codec.messages import Record, Suspect
    from trio_gossip.engine.claims import Claims
    from trio_gossip.engine.membership import Entry
    from trio_gossip.engine.node import Node
    from trio_gossip.engine.origin import Origin


class Lifeguard(Judge):
    """Lifeguard's LHA-Suspicion, as memberlist has it."""

    def __init__(self, node: Node, claims: Claims) -> None:
        self._node = node
        self._claims = claims

    def admitted(self, claim: Suspect, origin: Origin) -> Suspect | None:
        return claim

    def open(self, claim: Suspect, entry: Entry, tried: tuple[str, ...]) -> Suspicion:
        node = self._node
        config = node.config
        n = node.table.active
        minimum = suspicion_minimum(config.suspicion_mult, n, config.probe_interval)
        suspicion = Suspicion(
            incarnation=claim.incarnation,
            started=node.now,
            minimum=minimum,
            maximum=minimum * config.suspicion_max_timeout_mult,
            wanted=confirmations_wanted(config.suspicion_mult, n),
            accusers=[claim.accuser],
            tried=tried,
        )
        node.timers.set(("suspicion", claim.name), suspicion.deadline)
        return suspicion

    def confirm(self, claim: Suspect, entry: Entry, tried: tuple[str, ...]) -> None:
        node = self._node
        suspicion = self._of(claim.name)
        if claim.accuser == node.name and tried:
            suspicion.tried = tried
        accuser = node.table.get(claim.accuser)
        if accuser is None or not accuser.member.is_active:
            node.counters.bump("accuser_unknown")  # names are free: they must not add up
            return
        if suspicion.confirm(claim.accuser):
            # Never in the past: a deadline that a wake-up could not have met looks like a stall.
            node.timers.set(("suspicion", claim.name), max(node.now, suspicion.deadline))
            node.tell(claim)
            node.counters.bump("suspicion_confirmed")

    def expired(self, name: str) -> None:
        """Timer: a suspect did not refute in time. Declare it failed."""
        suspicion = self._of(name)
        if suspicion.confirmations < suspicion.wanted:
            self._node.counters.bump("suspicion_unconfirmed")
        accusation = Dead(suspicion.incarnation, name, self._node.name)
        self._claims.fail(accusation, Reason.SUSPICION_EXPIRED)

    def dropped(self, name: str, suspicion: Case) -> None:
        self._node.timers.cancel(("suspicion", name))

    def hearsay(self, record: Record, entry: Entry | None, origin: Origin) -> bool:
        return False

    def _of(self, name: str) -> Suspicion:
        suspicion = self._claims.suspicions[name]
        assert isinstance(suspicion, Suspicion), "a suspicion by other rules"
        return suspicion
