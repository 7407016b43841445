"""What happened in a run, in order: a digest to compare runs by, and records to read.

A record is a tuple ``(time, kind, node, other, data)``: virtual seconds, what happened, the node
that did or saw it, the other node or address or "", and the bytes of a packet or a text. Packets
are kept as they travelled and decoded only when somebody reads them.
"""

from __future__ import annotations

from collections import deque
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, TypeAlias

from trio_gossip.codec import DecodeError, NativeCodec
from trio_gossip.events import (
    ContactLost,
    ContactRegained,
    Lagged,
    MessageReceived,
    NameConflict,
)
from trio_gossip.testing.wording import message_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from trio_gossip.events import Event

RECORDS_MAX: Final = 1_000_000
"""Records that a trace keeps; beyond it the oldest are dropped and counted, but digested."""

_DIGEST_BYTES: Final = 16
_BATCH: Final = 512

_ARROWS: Final = {"send": "->", "lose": "-x", "deliver": "<-", "dial": "=>", "stream": "=="}

Record: TypeAlias = tuple[float, str, str, str, bytes | str]


class Trace:
    """Records what happens, digests all of it, and keeps the last of it if told to.

    Kinds used by the simulator and the network for tests: ``send``, ``deliver`` and ``lose``
    (a packet; data is its bytes, for ``lose`` the reason as text), ``event`` (of the application),
    ``start``, ``end``, ``fault`` (something that the test did; data says what), ``dial``,
    ``stream`` and ``note``.

    Args:
        keep: most records to keep for reading; 0 keeps none, and then only the digest remains.
    """

    __slots__ = ("_batch", "_hash", "_kept", "count")

    def __init__(self, *, keep: int = RECORDS_MAX) -> None:
        self._hash = blake2b(digest_size=_DIGEST_BYTES)
        self._kept: deque[Record] = deque(maxlen=keep)
        self._batch: list[Record] = []
        self.count = 0
        """Records so far, kept or not."""

    def add(self, time: float, kind: str, node: str, other: str, data: bytes | str) -> None:
        """Take one more record."""
        batch = self._batch
        batch.append((time, kind, node, other, data))
        if len(batch) >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        """Digest and keep a batch: much cheaper than one by one."""
        batch = self._batch
        if not batch:
            return
        # Whole nanoseconds: the last bit of a float may depend on the platform's libm.
        lines = [
            b"%d %b %b %b %d %b"
            % (
                round(time * 1e9),
                kind.encode(),
                node.encode(),
                other.encode(),
                len(data),
                data if isinstance(data, bytes) else data.encode(),
            )
            for time, kind, node, other, data in batch
        ]
        self._hash.update(b"\n".join(lines) + b"\n")
        self._kept.extend(batch)
        self.count += len(batch)
        batch.clear()

    def __len__(self) -> int:
        """Records that are kept."""
        self._flush()
        return len(self._kept)

    def __iter__(self) -> Iterator[Record]:
        self._flush()
        return iter(self._kept)

    @property
    def dropped(self) -> int:
        """Records that were not kept for lack of room."""
        self._flush()
        return self.count - len(self._kept)

    def digest(self) -> str:
        """Hexadecimal; equal for runs in which the same happened at the same times."""
        self._flush()
        return self._hash.hexdigest()

    def lines(self) -> Iterator[str]:
        """The kept records as text, one line each."""
        return (line_of(record) for record in self)

    def diff(self, other: Trace, *, context: int = 3) -> str:
        """Say where ``other`` first differs, with some lines before; "" when it does not.

        Records are counted from the first of the run, which is number 0, kept or not. Of records
        that one of the two has dropped, only the digests tell that they differ.
        """
        if self.digest() == other.digest():
            return ""
        start = max(self.dropped, other.dropped)
        ours, theirs = (_from(trace, start) for trace in (self, other))
        at = first_difference(ours, theirs)
        if at is None:
            return "the runs differ in a record that was dropped"
        lines = [f"  {line_of(record)}" for record in ours[max(0, at - context) : at]]
        lines += [f"- {line_of(record)}" for record in ours[at : at + context]] or ["- (ended)"]
        lines += [f"+ {line_of(record)}" for record in theirs[at : at + context]] or ["+ (ended)"]
        before = f" (or before record {start}: those were dropped)" if start else ""
        return "\n".join([f"the runs differ from record {start + at} on{before}:", *lines])


def _from(trace: Trace, start: int) -> list[Record]:
    """The records from a number on, counted from the first of the run."""
    return list(trace)[start - trace.dropped :]


def first_difference(ours: list[Record], theirs: list[Record]) -> int | None:
    """The place of the first records that differ; None when there are none."""
    shorter = min(len(ours), len(theirs))
    at = next((at for at in range(shorter) if _digested(ours[at]) != _digested(theirs[at])), None)
    return shorter if at is None and len(ours) != len(theirs) else at


def _digested(record: Record) -> tuple[int, str, str, str, bytes | str]:
    """A record with its time as it is digested."""
    time, kind, node, other, data = record
    return (round(time * 1e9), kind, node, other, data)


def line_of(record: Record) -> str:
    """One record as a line for a person."""
    time, kind, node, other, data = record
    arrow = _ARROWS.get(kind, "")
    about = data if isinstance(data, str) else _packet_text(data)
    words = (f"{time:12.6f}", f"{kind:8}", node, arrow, other, about)
    return " ".join(word for word in words if word)


def _packet_text(data: bytes) -> str:
    try:
        messages: Iterable[object] = NativeCodec().unpack_untrusted(data)
    except DecodeError as error:
        return f"[{len(data)} bytes, undecodable: {error.reason}]"
    return f"[{len(data)} bytes] " + ", ".join(map(message_text, messages))


def event_text(event: Event) -> str:
    """An event in few words, the same on every platform."""
    kind = type(event).__name__
    if isinstance(event, Lagged):
        return f"{kind} missed={event.missed}"
    if isinstance(event, MessageReceived):
        return f"{kind} sender={event.sender} {event.delivery} {event.payload!r}"
    if isinstance(event, NameConflict):
        return f"{kind} {event.existing.name} other={event.other}"
    if isinstance(event, ContactLost | ContactRegained):
        return kind
    member = event.member
    accusers = f" accusers={','.join(event.accusers)}" if event.accusers else ""
    return f"{kind} {member.name} incarnation={member.incarnation} {event.reason}{accusers}"
