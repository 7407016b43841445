"""Checks of single decoded fields. Each returns the value or raises ``DecodeError("field")``.

``type(x) is int`` and not ``isinstance``: CBOR has true and false, and a bool is an int.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from struct import Struct
from typing import Final, NoReturn

from trio_gossip.addresses import HOST_BYTES_MAX, Address
from trio_gossip.codec.base import DecodeError
from trio_gossip.members import INCARNATION_MAX, META_BYTES_MAX, NAME_BYTES_MAX

_UINT32_MAX: Final = 2**32 - 1
_UINT64_MAX: Final = 2**64 - 1


def _bad() -> NoReturn:
    raise DecodeError("field")


def uint8(value: object) -> int:
    """A number that fits 8 bits."""
    if type(value) is not int or not 0 <= value <= 255:
        _bad()
    return value


def uint32(value: object) -> int:
    """A number that fits 32 bits."""
    if type(value) is not int or not 0 <= value <= _UINT32_MAX:
        _bad()
    return value


def uint64(value: object) -> int:
    """A number that fits 64 bits."""
    if type(value) is not int or not 0 <= value <= _UINT64_MAX:
        _bad()
    return value


def incarnation(value: object) -> int:
    """1 to 2**62. Zero is refused: in memberlist it makes records that nobody can see."""
    if type(value) is not int or not 1 <= value <= INCARNATION_MAX:
        _bad()
    return value


def name(value: object) -> str:
    """A member's name: 1 to 255 bytes of printable text."""
    if type(value) is not str or not 0 < len(value) <= NAME_BYTES_MAX or not value.isprintable():
        _bad()
    if not value.isascii() and len(value.encode()) > NAME_BYTES_MAX:
        _bad()
    return value


def optional_name(value: object) -> str:
    """A member's name or the empty text."""
    return "" if value == "" else name(value)


def text(value: object, limit: int) -> str:
    """Printable text of at most ``limit`` characters."""
    if type(value) is not str or len(value) > limit or not value.isprintable():
        _bad()
    return value


def data(value: object, limit: int) -> bytes:
    """At most ``limit`` bytes."""
    if type(value) is not bytes or len(value) > limit:
        _bad()
    return value


def meta(value: object) -> bytes:
    """A member's metadata."""
    return data(value, META_BYTES_MAX)


def versions(value: object) -> bytes:
    """Six version bytes; the range of protocol versions must make sense."""
    if type(value) is not bytes or len(value) != 6 or not 0 < value[0] <= value[1]:
        _bad()
    return _shared_versions(value)


def flag(value: object) -> bool:
    """True or false."""
    if type(value) is not bool:
        _bad()
    return value


def address(value: object) -> Address:
    """An address as :func:`pack_address` writes it."""
    if (type(value) is not bytes and type(value) is not str) or len(value) > HOST_BYTES_MAX + 6:
        _bad()
    found = _unpack_address(value)
    if found is None:
        _bad()
    return found


def optional_address(value: object) -> Address | None:
    """An address or null."""
    return None if value is None else address(value)


@lru_cache(maxsize=256)
def _shared_versions(value: bytes) -> bytes:
    """One object for equal version bytes: a thousand members have two or three kinds."""
    return value


@lru_cache(maxsize=4096)
def pack_address(value: Address) -> bytes | str:
    """4 or 16 raw bytes and two of port for IP literals; ``host:port`` for other hosts."""
    try:
        raw = ipaddress.ip_address(value.host)
    except ValueError:
        return f"{value.host}:{value.port}"
    return raw.packed + value.port.to_bytes(2, "big")


_MAPPED: Final = bytes(10) + b"\xff\xff"
_groups: Final = Struct(">8H2x").unpack


def _ipv6_text(value: bytes) -> str:
    """What ``str(IPv6Address(value[:16]))`` says, in a tenth of the time (RFC 5952)."""
    numbers = _groups(value)
    text = "%x:%x:%x:%x:%x:%x:%x:%x" % numbers  # noqa: UP031 - half the time of format()
    if numbers.count(0) < 2:
        return text
    words = text.split(":")
    best, longest, start = 0, 1, 0
    while start < 8:
        end = start
        while end < 8 and not numbers[end]:
            end += 1
        if end - start > longest:
            best, longest = start, end - start
        start = end + 1
    if longest == 1:
        return text
    return ":".join(words[:best]) + "::" + ":".join(words[best + longest :])


@lru_cache(maxsize=4096)
def _unpack_address(value: bytes | str) -> Address | None:
    if isinstance(value, bytes):
        if len(value) not in (6, 18):
            return None
        port = value[-2] << 8 | value[-1]
        if not port:
            return None
        if len(value) == 18 and not value.startswith(_MAPPED):
            return Address(_ipv6_text(value), port)
        return Address(".".join(map(str, value[-6:-2])), port)
    host, colon, digits = value.rpartition(":")
    if not (colon and host and digits.isascii() and digits.isdigit() and len(digits) <= 5):
        return None
    if ":" in host or not host.isprintable() or len(host.encode()) > HOST_BYTES_MAX:
        return None
    # A host without a colon has one spelling only: ipaddress takes no other one of IPv4.
    if " " in host or not 1 <= int(digits) <= 65535:
        return None
    if host.replace(".", "").isdigit() and host.count(".") != 3:
        return None  # "127.1" and "0" are addresses to a resolver
    return Address(host, int(digits))
