"""Addresses as the kernel spells them, and as members compare them."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING, TypeAlias, cast

import trio

from trio_gossip.addresses import Address, canonical_host

if TYPE_CHECKING:
    from collections import Counter

SocketAddress: TypeAlias = tuple[str, int] | tuple[str, int, int, int]
"""IPv4: host and port. IPv6: flow label and number of the interface as well."""

_CACHED_ADDRESSES_MAX = 4096
"""Addresses kept in each direction. A cluster of that size fits; a flood of forged sources costs
no more than having no cache."""

_SCOPES = 2**32


def address_of(raw: SocketAddress) -> Address:
    """The address of a peer as members compare it: plain IPv4 even on an IPv6 socket."""
    host = canonical_host(raw[0])
    if len(raw) == 4 and raw[3] and "%" not in host:
        host = f"{host}%{raw[3]}"  # link-local: means nothing, and reaches nobody, without it
    return Address(host, raw[1])


def parse_literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Read an IP literal, IPv4 mapped into IPv6 as IPv4; None for a name."""
    try:
        return ipaddress.ip_address(canonical_host(host))
    except ValueError:
        return None


async def look_up(
    host: str, port: int, *, family: int = 0, flags: int = 0
) -> list[tuple[int, SocketAddress]]:
    """Resolve a name in a thread, a literal at once; families and addresses, best first.

    Raises:
        OSError: the host is not known.
        ValueError: ``host`` cannot be a host name (UnicodeError).
    """
    found = await trio.socket.getaddrinfo(
        host, port, family=family, type=socket.SOCK_STREAM, flags=flags
    )
    # The other shape, (int, bytes), is of Python builds without IPv6.
    return [(each, cast("SocketAddress", raw)) for each, _, _, _, raw in found]


class AddressBook:
    """Translates between the two spellings for one UDP socket, and remembers what it has seen.

    Both caches are emptied when full: simple and bounded.

    Args:
        takes_ipv4: whether the socket reaches IPv4 hosts.
        takes_ipv6: whether the socket is of the IPv6 family.
        drops: where a datagram that cannot be addressed is counted, by the name of the error.
    """

    def __init__(self, *, takes_ipv4: bool, takes_ipv6: bool, drops: Counter[str]) -> None:
        self.sources: dict[SocketAddress, Address] = {}
        """Looked into by the receiver itself: a call for each datagram would cost more."""
        self.targets: dict[Address, SocketAddress] = {}
        self._takes_ipv4 = takes_ipv4
        self._takes_ipv6 = takes_ipv6
        self._drops = drops

    def find_source(self, raw: SocketAddress) -> Address:
        """Translate and remember where a datagram came from."""
        if len(self.sources) >= _CACHED_ADDRESSES_MAX:
            self.sources.clear()
        source = self.sources[raw] = address_of(raw)
        return source

    def find_target(self, address: Address) -> SocketAddress | None:
        """Spell a peer's address for ``sendto``; None, and a counted drop, if it cannot be."""
        target = self._spell(address)
        if isinstance(target, str):
            self._drops[target] += 1
            return None
        if len(self.targets) >= _CACHED_ADDRESSES_MAX:
            self.targets.clear()
        self.targets[address] = target
        return target

    def _spell(self, address: Address) -> SocketAddress | str:
        """What ``sendto`` takes, or the name of the error that stands in the way.

        Only literals: ``sendto`` would look up a name by itself, and block the whole process.
        """
        parsed = parse_literal(address.host)
        if parsed is None or not 0 < address.port < 65536:
            return "EADDRNOTAVAIL"
        if isinstance(parsed, ipaddress.IPv4Address):
            if not self._takes_ipv4:
                return "EAFNOSUPPORT"
            return (f"::ffff:{parsed}" if self._takes_ipv6 else str(parsed), address.port)
        if not self._takes_ipv6:
            return "EAFNOSUPPORT"
        host, _, scope = str(parsed).partition("%")
        number = _scope_number(scope)
        return "EADDRNOTAVAIL" if number is None else (host, address.port, 0, number)


def _scope_number(scope: str) -> int | None:
    """The number of an interface, given by number or by name; None if it cannot be one."""
    if not scope:
        return 0
    try:
        # A host may come from a peer: as many digits as it likes, or what no name can hold.
        number = int(scope) if scope.isdecimal() else socket.if_nametoindex(scope)
    except (OSError, ValueError):
        return None
    return number if number < _SCOPES else None
