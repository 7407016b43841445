"""Finds the address to tell others when a transport listens on all interfaces."""

from __future__ import annotations

import logging
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from trio_gossip.addresses import Address
from trio_gossip_transports.socket_addresses import address_of, look_up, parse_literal

if TYPE_CHECKING:
    from collections.abc import Iterable

_logger = logging.getLogger(__name__)

_HOST_NAME_LOOKUP_SECONDS = 2.0

# Addresses kept for documentation: a route to them is a route to "somewhere else".
_ELSEWHERE: tuple[tuple[socket.AddressFamily, str], ...] = (
    (socket.AF_INET, "192.0.2.1"),
    (socket.AF_INET6, "2001:db8::1"),
)


async def find_advertised(bound: Address, *, is_dual: bool) -> Address:
    """The address to tell others when bound to all interfaces; the same each time.

    In this order, IPv4 before IPv6: the source of the default route, a private address of this
    host's name, loopback with a logged warning. Takes two seconds at most.

    Args:
        bound: ``0.0.0.0`` or ``::``, and the port.
        is_dual: ``::`` takes IPv4 too.
    """
    is_ipv6 = ":" in bound.host
    families = [socket.AF_INET] if is_dual or not is_ipv6 else []
    families += [socket.AF_INET6] if is_ipv6 else []
    for family in families:
        for host in _route_sources(family):
            return Address(host, bound.port)
    for family in families:
        for host in sorted(await _host_name_addresses(family)):
            return Address(host, bound.port)
    loopback = "127.0.0.1" if socket.AF_INET in families else "::1"
    _logger.warning(
        "listening on %s, but no interface has an address for others; telling them %s",
        bound,
        loopback,
    )
    return Address(loopback, bound.port)


def _route_sources(family: socket.AddressFamily) -> Iterable[str]:
    """The source address of the default route: connecting a UDP socket sends nothing."""
    for each, elsewhere in _ELSEWHERE:
        if each == family:
            with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((elsewhere, 9))
                if _is_tellable(host := address_of(probe.getsockname()).host):
                    yield host


async def _host_name_addresses(family: socket.AddressFamily) -> list[str]:
    """Private addresses of this host's name. The look-up may ask a name server, so it is cut."""
    with trio.move_on_after(_HOST_NAME_LOOKUP_SECONDS), suppress(OSError, UnicodeError):
        found = await look_up(socket.gethostname(), 0, family=family)
        return [
            host
            for host in {address_of(raw).host for _, raw in found}
            if _is_tellable(host) and (parsed := parse_literal(host)) and parsed.is_private
        ]
    return []


def _is_tellable(host: str) -> bool:
    parsed = parse_literal(host)
    return parsed is not None and not (
        parsed.is_unspecified or parsed.is_loopback or parsed.is_link_local
    )
