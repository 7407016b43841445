"""Who may be in the table: rules that hold for every news of every member, on every path.

memberlist asks its merge delegate at a join only, so that a rejected peer gets in with the next
anti-entropy exchange. Here each alive claim passes this door, wherever it came from.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import TYPE_CHECKING

from trio_gossip.members import Candidate, MemberState

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip.codec.messages import Alive
    from trio_gossip.engine.membership import Entry
    from trio_gossip.engine.node import Node


class Admission:
    """Says yes or no to one claim; a no is counted by its reason."""

    __slots__ = ("_networks", "_node")

    def __init__(self, node: Node) -> None:
        self._node = node
        self._networks = [ipaddress.ip_network(network) for network in node.config.allowed_networks]

    def admits(self, claim: Alive, entry: Entry | None, names: tuple[str, ...] = ()) -> bool:
        """Ask every rule, the user's hook last.

        Args:
            claim: what is claimed.
            entry: the present row, or None when the member would be new.
            names: what the transport vouches for, if the member claims this itself.
        """
        fault = self._fault(claim, entry, names)
        if fault is None:
            return True
        self._node.counters.bump(fault)
        return False

    def _fault(self, claim: Alive, entry: Entry | None, names: tuple[str, ...]) -> str | None:
        node = self._node
        if claim.address.is_wildcard or _is_group(claim.address.host):
            return "refused_wildcard_address"
        if claim.address == node.me.member.address:
            return "refused_own_address"
        if not self.compatible(claim.versions):
            return "refused_versions"
        if self._networks and not self._in_networks(claim.address):
            return "refused_network"
        if entry is None and len(node.table) >= node.config.members_max:
            return "refused_table_full"
        hook = node.config.admit
        if hook is not None:
            verdict = hook(
                Candidate(
                    claim.name,
                    claim.address,
                    MemberState.ALIVE,
                    claim.incarnation,
                    claim.meta,
                    claim.versions,
                    names,
                )
            )
            if verdict is False:
                return "refused_by_hook"
            if verdict is not True:
                # A coroutine is true and None is false: a veto must not open or close by mistake.
                raise TypeError(f"admit must return True or False, not {verdict!r}")
        return None

    def compatible(self, versions: bytes) -> bool:
        """True when we speak what the member speaks and it speaks what we speak."""
        mine = self._node.config.versions
        low, high, speaks, user_low, user_high, user_speaks = versions
        return (
            low <= mine.protocol <= high
            and mine.protocol_min <= speaks <= mine.protocol_max
            and user_low <= mine.user <= user_high
            and mine.user_min <= user_speaks <= mine.user_max
        )

    def _in_networks(self, address: Address) -> bool:
        try:
            host = ipaddress.ip_address(address.host)
        except ValueError:
            return False
        return any(host in network for network in self._networks)


@lru_cache(maxsize=4096)
def _is_group(host: str) -> bool:
    """True for addresses that stand for many hosts, to which no member can be sent a packet."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_multicast or str(address) == "255.255.255.255"
