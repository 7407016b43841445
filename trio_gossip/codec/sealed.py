"""Recognises what other nodes have sealed, so that a plain one can say what is wrong.

It opens nothing, and what it says is believed for nothing but a counter and a line in the log:
these are first bytes, which anybody can send. Nothing well-formed on our wire begins with them.
"""

from __future__ import annotations

from typing import Final

_NATIVE_PACKETS: Final = range(0xE1, 0xE6)
"""First bytes of sealed packets in the native format, the notice of who seals among them."""

_NATIVE_PACKET_BYTES_MIN: Final = 6
"""Length of the shortest of them, the notice."""

_NATIVE_STREAMS: Final = range(0xE8, 0xEB)
"""First bytes of the three prefaces of sealed streams."""

_MEMBERLIST_LABEL: Final = 0xF4
"""Before a label in clear text; then one byte of length, the label, and what is sealed."""

_MEMBERLIST_VERSION: Final = 0x01
"""First byte of a packet that memberlist has sealed. A plain indirect ping has it too."""

_MEMBERLIST_PACKET_BYTES_MIN: Final = 29
"""Version, nonce and tag."""

_MEMBERLIST_STREAM: Final = 0x0A
"""First byte of each sealed message on a stream of memberlist."""


def is_sealed_packet(data: bytes) -> bool:
    """Whether a packet that makes no sense looks like one that is sealed."""
    data = _without_label(data)
    if not data:
        return False
    if data[0] in _NATIVE_PACKETS:
        return len(data) >= _NATIVE_PACKET_BYTES_MIN
    return (
        data[0] == _MEMBERLIST_VERSION
        and len(data) >= _MEMBERLIST_PACKET_BYTES_MIN
        and not _begins_map(data[1])
    )


def is_sealed_stream(data: bytes) -> bool:
    """Whether a stream that makes no sense begins as a sealed one does."""
    rest = _without_label(data)
    return bool(rest) and (rest[0] in _NATIVE_STREAMS or rest[0] == _MEMBERLIST_STREAM)


def _without_label(data: bytes) -> bytes:
    if len(data) < 2 or data[0] != _MEMBERLIST_LABEL:
        return data
    return data[2 + data[1] :]


def _begins_map(byte: int) -> bool:
    """Whether MessagePack would read a map here: the body of every plain message of memberlist."""
    return 0x80 <= byte <= 0x8F or byte in (0xDE, 0xDF)
