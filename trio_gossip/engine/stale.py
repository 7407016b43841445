"""What old news gets for an answer: whoever is behind must not stay so for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_gossip.codec.messages import Alive, Dead, Suspect
from trio_gossip.engine.claimed import says_the_same
from trio_gossip.events import Reason
from trio_gossip.members import MemberState

if TYPE_CHECKING:
    from trio_gossip.engine.membership import Entry
    from trio_gossip.engine.node import Node
    from trio_gossip.engine.origin import Origin
    from trio_gossip.engine.returns import Returns


class Stale:
    """Answers claims that change nothing here, so that they end where they came from."""

    def __init__(self, node: Node, returns: Returns) -> None:
        self._node = node
        self._returns = returns

    def alive(self, claim: Alive, entry: Entry, origin: Origin) -> None:
        """What we know is as new or newer. Only the member itself is told so; and of a claim that
        contradicts ours at the same incarnation, for neither of the two can win: it has to bid.
        """
        node = self._node
        node.counters.bump("alive_stale")
        held = entry.member
        # Only what makes the other side move: answering an equal claim with our own view lets
        # two members that were told different addresses of a third answer each other for ever.
        news = entry.evidence > claim.incarnation or held.state is not MemberState.ALIVE
        if news and origin.address == claim.address:
            origin.answer(node, claim.name, self.held_against(entry))
        elif (
            held.state is MemberState.FAILED
            and origin.reason is Reason.SYNCED
            and held.address == claim.address
        ):
            self._returns.ask(Dead(entry.evidence, held.name, node.name), held.address)
        contradicts = claim.incarnation == held.incarnation and not says_the_same(claim, held)
        if contradicts and held.is_active and node.spend_answer():
            node.outbox.packet(held.address, held.name, claim, piggyback=False)

    def ask_for_claim(self, entry: Entry) -> None:
        """Have a member say itself at which incarnation it is: it answers an old accusation with
        its own claim, and that comes from its own address. So hearsay cannot take a member
        far away from what some have heard, nor lock it out where it was taken.
        """
        member = entry.member
        question = Suspect(member.incarnation, member.name, self._node.name)
        self._node.outbox.packet(member.address, member.name, question, piggyback=False)

    def held_against(self, entry: Entry) -> Alive | Suspect | Dead:
        """The claim that makes the member bid higher: it must answer whatever is not below its
        own incarnation, so ``evidence`` is what it has to exceed.
        """
        member = entry.member
        if member.state is MemberState.LEFT:
            return Dead(entry.evidence, member.name, member.name)
        if member.state is MemberState.FAILED:
            return Dead(entry.evidence, member.name, self._node.name)
        if member.state is MemberState.SUSPECT:
            return Suspect(entry.evidence, member.name, self._node.name)
        return Alive(entry.evidence, member.name, member.address, member.meta, member.versions)
