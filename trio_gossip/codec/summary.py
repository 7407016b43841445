"""What a member knows, in a few bytes: the fields on pings and acks, and the sizes of a repair.

A *plane* is a kind of knowledge with a code and a sum of 64 bits (``plane.py``). A ping
carries the sum over all planes of its sender in eight bytes, however many there are. The answer is
one byte when that is what the answerer has, or when it sends along what is missing; else its age
and the sum of each plane:

* ``00``: I have the same.
* ``01``: I do not, and the records that you lack come along.
* age, then for each plane its code and eight bytes, codes rising. The age is the number of bits of
  the milliseconds since the last change of any plane of the answerer.

So two members that do not have the same planes compare those that both have.
"""

from __future__ import annotations

from typing import Final

from trio_gossip.codec import fields
from trio_gossip.codec.base import DecodeError

SUMMARY_BYTES: Final = 8
"""Bytes of the summary on a ping."""

PLANES_MAX: Final = 16
"""Planes that an answer may tell of; a packet with more is refused."""

BUCKETS: Final = 64
"""Parts into which members are divided by their names when two tables are compared: with 4 bytes
for each, d differences cost 256 bytes and d/64 of the names. A bit for each fits one number."""

SUM_BYTES: Final = 4
"""Bytes of the sum of a bucket. Two buckets that differ have one sum once in four billion times,
and then the next comparison finds it."""

ID_BYTES: Final = 3
"""Bytes that stand for a name within a bucket. Two of 16 names there have the same ones in one of
140,000 buckets; then an exchange of whole tables finds what differs."""

ROW_BYTES: Final = ID_BYTES + 4
"""Bytes of a member in a bucket: its id, and the low 32 bits of its incarnation."""

EQUAL: Final = b"\x00"
"""The summary of an ack: the same as yours."""

EXPLAINED: Final = b"\x01"
"""The summary of an ack: not the same, but what you lack comes along."""

_PLANE_BYTES: Final = 1 + SUMMARY_BYTES
_SUM_LIMIT: Final = 1 + PLANES_MAX * _PLANE_BYTES


def ping_summary(value: object) -> bytes:
    """The summary of a ping.

    Raises:
        DecodeError: it is no eight bytes.
    """
    summary = fields.data(value, SUMMARY_BYTES)
    if len(summary) != SUMMARY_BYTES:
        raise DecodeError("field")
    return summary


def ack_summary(value: object) -> bytes:
    """The summary of an ack.

    Raises:
        DecodeError: it is neither one of the two flags nor a list of planes with rising codes.
    """
    summary = fields.data(value, _SUM_LIMIT)
    if len(summary) == 1:
        if summary not in (EQUAL, EXPLAINED):
            raise DecodeError("field")
        return summary
    codes = summary[1::_PLANE_BYTES]
    if not codes or len(summary) % _PLANE_BYTES != 1:
        raise DecodeError("field")
    if any(codes[at] >= codes[at + 1] for at in range(len(codes) - 1)):
        raise DecodeError("field")
    return summary


def pack_sum(total: int) -> bytes:
    """A sum of 64 bits as the summary of a ping."""
    return total.to_bytes(SUMMARY_BYTES, "big")


def pack_sums(age: int, sums: dict[int, int]) -> bytes:
    """Age and sums as the summary of an ack.

    Args:
        age: bits of a number of milliseconds, at most 255.
        sums: by code of the plane, rising.
    """
    parts = [bytes((age,))]
    for code, total in sums.items():
        parts += bytes((code,)), pack_sum(total)
    return b"".join(parts)


def unpack_sums(summary: bytes) -> tuple[int, dict[int, int]]:
    """Age and sums out of the summary of an ack that is none of the flags."""
    sums = {
        summary[at]: int.from_bytes(summary[at + 1 : at + _PLANE_BYTES], "big")
        for at in range(1, len(summary), _PLANE_BYTES)
    }
    return summary[0], sums
