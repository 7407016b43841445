"""Where a member can be reached: a host and a port, and how people write them."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import NamedTuple

PORT_DEFAULT = 7946
"""The port that memberlist and Serf made customary."""

HOST_BYTES_MAX = 255
"""Longest host name that DNS allows (RFC 1035), also the cap on the wire."""


class Address(NamedTuple):
    """One reachable place. A tuple, so that it hashes and compares in C and socket
    calls accept it as it is.

    ``host`` is an IP literal in its canonical spelling or, on transports that have
    names instead of numbers (the in-memory network), any text without a colon.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_wildcard(self) -> bool:
        """True for ``0.0.0.0`` and ``::``: fit to listen on, not to be told to others."""
        return self.host in ("0.0.0.0", "::", "")  # noqa: S104 - recognised, not bound


@lru_cache(maxsize=4096)
def canonical_host(host: str) -> str:
    """Spell an IP literal in the one way in which members compare it.

    An IPv4 address mapped into IPv6 (``::ffff:10.0.0.1``) becomes plain IPv4: memberlist
    compares raw bytes and reports a conflict between the two spellings of one address.
    Anything that is no IP literal comes back unchanged.
    """
    try:
        parsed = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(parsed)


def parse_address(text: str, *, default_port: int = PORT_DEFAULT) -> Address:
    """Read ``host``, ``host:port``, ``[ipv6]:port`` or a bare IPv6 literal.

    Raises:
        ValueError: with one line that says what is wrong with ``text``.
    """
    host, port_text = _split(text)
    if not host:
        raise ValueError(f"{text!r} has no host; write HOST:PORT")
    if any(character.isspace() or not character.isprintable() for character in host):
        raise ValueError(f"{text!r} has a blank or unprintable character in the host")
    if len(host.encode("utf-8", "replace")) > HOST_BYTES_MAX:
        raise ValueError(f"the host in {text[:40]!r}... is longer than {HOST_BYTES_MAX} bytes")
    if port_text is None:
        port = default_port
    elif not re.fullmatch(r"0*[0-9]{1,5}", port_text, re.ASCII) or int(port_text) > 65535:
        raise ValueError(f"{text!r} has no valid port; it is a number from 0 to 65535")
    else:
        port = int(port_text)
    return Address(canonical_host(host), port)


def _split(text: str) -> tuple[str, str | None]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")) or not _is_ipv6(host):
            raise ValueError(f"{text!r} is no address; write an IPv6 address as [HOST]:PORT")
        return host, rest[1:] if rest else None
    if text.count(":") > 1:
        if not _is_ipv6(text):
            raise ValueError(f"{text!r} is no address; write HOST:PORT or [IPV6]:PORT")
        return text, None
    host, colon, port = text.partition(":")
    return host, port if colon else None


def _is_ipv6(host: str) -> bool:
    try:
        # ipaddress lets a scope be any text; with this in it the address could not be read back.
        return ipaddress.ip_address(host).version == 6 and "]" not in host
    except ValueError:
        return False
