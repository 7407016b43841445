"""The messages that members exchange, without a byte of framing.

They are kept abstract enough that another wire (memberlist's msgpack) can carry them: opaque
payloads, a reply address in pings, six version bytes, `left` told by the accused itself.
Created for every packet, hence ``attrs.define`` (slots, 0.3 us) and not ``frozen`` (1.3 us);
nobody changes one after it was made.
"""

from __future__ import annotations

from typing import ClassVar, Final, TypeAlias

import attrs

from trio_gossip.addresses import Address

PARCEL_BYTES_MAX: Final = 64 * 1024
"""Most bytes of a broadcast that is announced; they travel in one answer of a service."""

ACCUSERS_MAX: Final = 9
"""Accusers that one accusation names; an array of the wire has at most 23 items."""

EVIDENCE_MAX: Final = 2
"""Highest number that stands for what somebody found who got no answer."""

AGE_MS_MAX: Final = 600_000
"""Longest age of a suspicion that can be told: ten minutes."""

BUDGET_MS_MAX: Final = 600_000
"""Longest time a helper may be asked to try: ten minutes."""


@attrs.define(slots=True, weakref_slot=False)
class Ping:
    """Are you there? Answered with an :class:`Ack` of the same ``sequence``.

    ``summary`` is empty, or what the asker knows in eight bytes (``codec/summary.py``).
    """

    code: ClassVar[int] = 0
    sequence: int
    target: str
    source: str
    reply_to: Address | None = None
    summary: bytes = b""


@attrs.define(slots=True, weakref_slot=False)
class IndirectPing:
    """Ask ``target`` for me. ``budget`` is the milliseconds that the requester has left."""

    code: ClassVar[int] = 1
    sequence: int
    target: str
    address: Address
    source: str
    budget: int
    want_nack: bool = True
    reply_to: Address | None = None


@attrs.define(slots=True, weakref_slot=False)
class Ack:
    """I am there, from the target or through a helper. The payload is opaque.

    ``summary`` answers that of the ping: it is empty when there was none.
    """

    code: ClassVar[int] = 2
    sequence: int
    payload: bytes = b""
    summary: bytes = b""


@attrs.define(slots=True, weakref_slot=False)
class Nack:
    """I am there, but could not reach it either: from a helper, who says what it found
    (:class:`~trio_gossip.Evidence` as a number).
    """

    code: ClassVar[int] = 3
    sequence: int
    evidence: int = 0


@attrs.define(slots=True, weakref_slot=False)
class Alive:
    """A member speaks up for itself, and others pass it on unchanged.

    ``vouched_by`` names the member that found the name's former address silent, when the name
    moved: who trusts that member need not probe the old address again.
    """

    code: ClassVar[int] = 4
    incarnation: int
    name: str
    address: Address
    meta: bytes
    versions: bytes
    vouched_by: str = ""


@attrs.define(slots=True, weakref_slot=False)
class Suspect:
    """``accuser`` could not reach ``name``.

    Attributes:
        evidence: what the accuser found (:class:`~trio_gossip.Evidence` as a number).
        age: milliseconds since the suspicion began.
        others: further accusers and what each of them found; at most ``ACCUSERS_MAX`` less one.
    """

    code: ClassVar[int] = 5
    incarnation: int
    name: str
    accuser: str
    evidence: int = 0
    age: int = 0
    others: tuple[tuple[str, int], ...] = ()


@attrs.define(slots=True, weakref_slot=False)
class Dead:
    """``name`` did not refute in time; or it left, when it says so itself."""

    code: ClassVar[int] = 6
    incarnation: int
    name: str
    accuser: str

    @property
    def is_goodbye(self) -> bool:
        """True when the member itself said so."""
        return self.accuser == self.name


@attrs.define(slots=True, weakref_slot=False)
class Broadcast:
    """A user message for everybody. (origin, epoch, counter) is its identity."""

    code: ClassVar[int] = 7
    origin: str
    epoch: int
    counter: int
    payload: bytes


@attrs.define(slots=True, weakref_slot=False)
class UserMessage:
    """A user message for one member."""

    code: ClassVar[int] = 8
    sender: str
    payload: bytes


@attrs.define(slots=True, weakref_slot=False)
class Leave:
    """A goodbye told directly; the receiver answers with an :class:`Ack`."""

    code: ClassVar[int] = 9
    sequence: int
    incarnation: int
    name: str


@attrs.define(slots=True, weakref_slot=False)
class Conflict:
    """The name that you use belongs to a live member at ``holder``."""

    code: ClassVar[int] = 10
    name: str
    holder: Address
    other: Address


@attrs.define(slots=True, weakref_slot=False)
class BucketSums:
    """First leg of a repair: my members in 64 buckets, the sum of each in four bytes."""

    code: ClassVar[int] = 11
    sequence: int
    source: str
    sums: bytes


@attrs.define(slots=True, weakref_slot=False)
class BucketRows:
    """Second leg: the buckets in which your sums are not mine, and what I have there.

    Attributes:
        buckets: a bit for each bucket.
        rows: seven bytes for each active member in them: three of its name's hash, four of its
            incarnation. None, with all buckets, asks for an exchange of whole tables.
    """

    code: ClassVar[int] = 12
    sequence: int
    source: str
    buckets: int
    rows: bytes


@attrs.define(slots=True, weakref_slot=False)
class BucketWants:
    """Third leg: of whom I want to hear, and whom you seem to lack: three bytes for each."""

    code: ClassVar[int] = 13
    sequence: int
    source: str
    wanted: bytes
    told: bytes


@attrs.define(slots=True, weakref_slot=False)
class ServiceNews:
    """News of a service of a member, to the same service of another. The payload is its own."""

    code: ClassVar[int] = 14
    service: int
    payload: bytes = attrs.field(repr=False)


@attrs.define(slots=True, weakref_slot=False)
class Announce:
    """I have a broadcast of ``size`` bytes, too long for gossip: ask me for it by stream."""

    code: ClassVar[int] = 15
    origin: str
    epoch: int
    counter: int
    size: int


@attrs.define(slots=True, weakref_slot=False)
class Unknown:
    """A message of a later version, kept only to be counted."""

    code: int


Message: TypeAlias = (
    Ping
    | IndirectPing
    | Ack
    | Nack
    | Alive
    | Suspect
    | Dead
    | Broadcast
    | UserMessage
    | Leave
    | Conflict
    | BucketSums
    | BucketRows
    | BucketWants
    | ServiceNews
    | Announce
    | Unknown
)
"""What a packet carries."""

Claim: TypeAlias = Alive | Suspect | Dead
"""The messages that say something about a member."""


@attrs.define(slots=True, weakref_slot=False)
class SyncOpen:
    """Opens an exchange in one direction; the answer opens the other one in the same ``mode``.

    ``mode`` is the place in ``members.EXCHANGE_MODES``. Who joins does so by push/pull, mode 0.
    """

    code: ClassVar[int] = 16
    source: str
    address: Address
    joining: bool
    mode: int = 0


@attrs.define(slots=True, weakref_slot=False)
class Record:
    """One member in a push/pull. ``state`` is the wire number 0 to 3."""

    name: str
    address: Address
    meta: bytes
    versions: bytes
    incarnation: int
    state: int


@attrs.define(slots=True, weakref_slot=False)
class SyncMembers:
    """A chunk of the sender's table."""

    code: ClassVar[int] = 17
    records: list[Record]


@attrs.define(slots=True, weakref_slot=False)
class SyncEnd:
    """Ends a table; ``count`` is the number of records sent, ``state`` belongs to services."""

    code: ClassVar[int] = 18
    count: int
    state: bytes = b""


@attrs.define(slots=True, weakref_slot=False)
class Refusal:
    """The other side will not go on with this exchange."""

    code: ClassVar[int] = 19
    reason: int
    text: str


@attrs.define(slots=True, weakref_slot=False)
class StreamPing:
    """A ping by stream, for when datagrams fail."""

    code: ClassVar[int] = 20
    sequence: int
    target: str
    source: str


@attrs.define(slots=True, weakref_slot=False)
class StreamAck:
    """Answers a :class:`StreamPing`."""

    code: ClassVar[int] = 21
    sequence: int


@attrs.define(slots=True, weakref_slot=False)
class MessageOpen:
    """Announces a reliable user message of ``size`` bytes."""

    code: ClassVar[int] = 22
    sender: str
    target: str
    size: int


@attrs.define(slots=True, weakref_slot=False)
class MessageChunk:
    """The next bytes of a reliable user message."""

    code: ClassVar[int] = 23
    data: bytes


@attrs.define(slots=True, weakref_slot=False)
class MessageAck:
    """The whole message was taken by the application's process."""

    code: ClassVar[int] = 24


@attrs.define(slots=True, weakref_slot=False)
class ServiceRequest:
    """Asks a service of a member. The payload is the service's own and may hold a secret."""

    code: ClassVar[int] = 25
    source: str
    target: str
    service: int
    payload: bytes = attrs.field(repr=False)


@attrs.define(slots=True, weakref_slot=False)
class ServiceAnswer:
    """Answers a :class:`ServiceRequest`."""

    code: ClassVar[int] = 26
    payload: bytes = attrs.field(repr=False)


Frame: TypeAlias = (
    SyncOpen
    | SyncMembers
    | SyncEnd
    | Refusal
    | StreamPing
    | StreamAck
    | MessageOpen
    | MessageChunk
    | MessageAck
    | ServiceRequest
    | ServiceAnswer
)
"""What a stream carries, one after another."""
