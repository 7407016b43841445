"""Hypothesis strategies for everything that the native wire carries, up to every limit."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st

from trio_gossip.addresses import HOST_BYTES_MAX, Address, canonical_host
from trio_gossip.codec.frames import RECORDS_MAX, REFUSAL_TEXT_MAX
from trio_gossip.codec.messages import (
    ACCUSERS_MAX,
    AGE_MS_MAX,
    Ack,
    Alive,
    Announce,
    Broadcast,
    BucketRows,
    BucketSums,
    BucketWants,
    Conflict,
    Dead,
    Frame,
    IndirectPing,
    Leave,
    Message,
    MessageAck,
    MessageChunk,
    MessageOpen,
    Nack,
    Ping,
    Record,
    Refusal,
    ServiceAnswer,
    ServiceNews,
    ServiceRequest,
    StreamAck,
    StreamPing,
    Suspect,
    SyncEnd,
    SyncMembers,
    SyncOpen,
    UserMessage,
)
from trio_gossip.codec.summary import EQUAL, EXPLAINED, PLANES_MAX, SUMMARY_BYTES, pack_sums
from trio_gossip.codec.wire import BUDGET_MS_MAX, PARCEL_BYTES_MAX
from trio_gossip.failures import Evidence
from trio_gossip.members import INCARNATION_MAX, META_BYTES_MAX, NAME_BYTES_MAX

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

# What str.isprintable() refuses: every "other" and every separator but the plain space.
_printable = st.characters(exclude_categories=["C", "Z"], include_characters=" ")
_host_characters = st.characters(exclude_categories=["C", "Z"], exclude_characters=":")

CODES_UNKNOWN: Final = st.integers(14, 255)

uint32: SearchStrategy[int] = st.integers(0, 2**32 - 1)
evidence: SearchStrategy[int] = st.sampled_from([int(each) for each in Evidence])
incarnations: SearchStrategy[int] = st.integers(1, INCARNATION_MAX)
metas: SearchStrategy[bytes] = st.binary(max_size=META_BYTES_MAX)
payloads: SearchStrategy[bytes] = st.binary(max_size=1400)
ports: SearchStrategy[int] = st.integers(1, 65535)

names: SearchStrategy[str] = st.one_of(
    st.text(_printable, min_size=1, max_size=20),
    st.text(_printable, min_size=1, max_size=NAME_BYTES_MAX).filter(
        lambda name: len(name.encode()) <= NAME_BYTES_MAX
    ),
    st.sampled_from(["a" * NAME_BYTES_MAX, "\u00e9" * 127, "\U0001f600" * 63, " "]),
)

hosts: SearchStrategy[str] = st.one_of(
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda host: canonical_host(str(host))),
    st.text(_host_characters, min_size=1, max_size=40).filter(
        lambda host: (
            canonical_host(host) == host and not host.replace(".", "").isdigit()
        )  # "127.1" is an address to a resolver
    ),
    st.just("h" * HOST_BYTES_MAX),
)

addresses: SearchStrategy[Address] = st.builds(Address, hosts, ports)


@st.composite
def version_bytes(draw: st.DrawFn) -> bytes:
    """Six version bytes whose range of protocols makes sense."""
    low = draw(st.integers(1, 255))
    return bytes((low, draw(st.integers(low, 255)))) + draw(st.binary(min_size=4, max_size=4))


@st.composite
def ack_summaries(draw: st.DrawFn) -> bytes:
    """What an ack may say of what its sender knows."""
    if draw(st.booleans()):
        return draw(st.sampled_from([b"", EQUAL, EXPLAINED]))
    codes = draw(st.sets(st.integers(0, 255), min_size=1, max_size=PLANES_MAX))
    sums = {code: draw(st.integers(0, 2**64 - 1)) for code in sorted(codes)}
    return pack_sums(draw(st.integers(0, 255)), sums)


def items(size: int, low: int, high: int) -> SearchStrategy[bytes]:
    """``low`` to ``high`` items of ``size`` bytes each."""
    return st.lists(st.binary(min_size=size, max_size=size), min_size=low, max_size=high).map(
        b"".join
    )


records: SearchStrategy[Record] = st.builds(
    Record, names, addresses, metas, version_bytes(), incarnations, st.integers(0, 3)
)

messages_by_type: Final[dict[type, SearchStrategy[Any]]] = {
    Ping: st.builds(
        Ping,
        uint32,
        names,
        names,
        st.none() | addresses,
        st.just(b"") | st.binary(min_size=SUMMARY_BYTES, max_size=SUMMARY_BYTES),
    ),
    IndirectPing: st.builds(
        IndirectPing,
        uint32,
        names,
        addresses,
        names,
        st.integers(0, BUDGET_MS_MAX),
        st.booleans(),
        st.none() | addresses,
    ),
    Ack: st.builds(Ack, uint32, payloads, ack_summaries()),
    Nack: st.builds(Nack, uint32, evidence),
    Alive: st.builds(
        Alive, incarnations, names, addresses, metas, version_bytes(), st.just("") | names
    ),
    Suspect: st.builds(
        Suspect,
        incarnations,
        names,
        names,
        evidence,
        st.integers(0, AGE_MS_MAX),
        st.lists(st.tuples(names, evidence), max_size=ACCUSERS_MAX - 1).map(tuple),
    ),
    Dead: st.builds(Dead, incarnations, names, names),
    Broadcast: st.builds(Broadcast, names, incarnations, incarnations, payloads),
    UserMessage: st.builds(UserMessage, names, payloads),
    Leave: st.builds(Leave, uint32, incarnations, names),
    Conflict: st.builds(Conflict, names, addresses, addresses),
    BucketSums: st.builds(BucketSums, uint32, names, items(4, 64, 64)),
    BucketRows: st.builds(BucketRows, uint32, names, st.integers(0, 2**64 - 1), items(7, 0, 40)),
    ServiceNews: st.builds(ServiceNews, st.integers(0, 255), payloads),
    BucketWants: st.builds(BucketWants, uint32, names, items(3, 0, 40), items(3, 0, 40)),
    Announce: st.builds(
        Announce, names, incarnations, incarnations, st.integers(1, PARCEL_BYTES_MAX)
    ),
}
"""Every message that this version sends."""

frames_by_type: Final[dict[type, SearchStrategy[Any]]] = {
    SyncOpen: st.one_of(
        st.builds(SyncOpen, names, addresses, st.booleans()),
        st.builds(SyncOpen, names, addresses, st.just(False), st.integers(0, 2)),
    ),
    SyncMembers: st.builds(SyncMembers, st.lists(records, max_size=4)),
    SyncEnd: st.builds(SyncEnd, uint32, payloads),
    Refusal: st.builds(Refusal, uint32, st.text(_printable, max_size=REFUSAL_TEXT_MAX)),
    StreamPing: st.builds(StreamPing, uint32, names, names),
    StreamAck: st.builds(StreamAck, uint32),
    MessageOpen: st.builds(MessageOpen, names, names, uint32),
    MessageChunk: st.builds(MessageChunk, payloads),
    MessageAck: st.builds(MessageAck),
    ServiceRequest: st.builds(ServiceRequest, names, names, st.integers(0, 255), payloads),
    ServiceAnswer: st.builds(ServiceAnswer, payloads),
}
"""Every frame that this version sends."""

messages: SearchStrategy[Message] = st.one_of(*messages_by_type.values())
frames: SearchStrategy[Frame] = st.one_of(*frames_by_type.values())

full_chunks: SearchStrategy[SyncMembers] = records.map(
    lambda record: SyncMembers([record] * RECORDS_MAX)
)
"""As many records as one frame takes."""

cbor_values: SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**64), 2**64 - 1),
        st.floats(),
        st.text(max_size=8),
        st.binary(max_size=20),
        st.ip_addresses(v=4).map(lambda host: host.packed + b"\x1f\x0a"),
    ),
    lambda inner: (
        st.lists(inner, max_size=9)
        | st.dictionaries(st.text(max_size=3) | st.integers(0, 9), inner, max_size=3)
    ),
    max_leaves=30,
)
"""What a stranger may write that is at least CBOR."""


def canonical(address: Address) -> bool:
    """True for what a member may announce."""
    try:
        ipaddress.ip_address(address.host)
    except ValueError:
        return ":" not in address.host
    return canonical_host(address.host) == address.host
