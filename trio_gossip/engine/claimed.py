"""From claims and wire numbers to members, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trio_gossip.codec.messages import Record
from trio_gossip.members import Member, MemberState

if TYPE_CHECKING:
    from trio_gossip.codec.messages import Alive

STATE_BY_NUMBER: Final = (
    MemberState.ALIVE,
    MemberState.SUSPECT,
    MemberState.FAILED,
    MemberState.LEFT,
)
"""The states by their number in a push/pull record, which is memberlist's."""

_NUMBER_BY_STATE: Final = {state: number for number, state in enumerate(STATE_BY_NUMBER)}


def claimed_member(claim: Alive) -> Member:
    """The member that an alive claim describes."""
    return Member(
        claim.name, claim.address, MemberState.ALIVE, claim.incarnation, claim.meta, claim.versions
    )


def says_the_same(claim: Alive | Record | Member, member: Member) -> bool:
    """True when both describe one process: all that a member says of itself but its incarnation."""
    return (
        claim.address == member.address
        and claim.meta == member.meta
        and claim.versions == member.versions
    )


def with_state(member: Member, state: MemberState, incarnation: int) -> Member:
    """The same member in another state (attrs.evolve costs twice as much)."""
    return Member(member.name, member.address, state, incarnation, member.meta, member.versions)


def record_of(member: Member) -> Record:
    """A member as a record of a push/pull."""
    return Record(
        member.name,
        member.address,
        member.meta,
        member.versions,
        member.incarnation,
        _NUMBER_BY_STATE[member.state],
    )
