"""Bugs in the bytes: sizes, counts, limits, and what a bad packet does."""

from __future__ import annotations

from tests.simulation.mutants.catalogue import mutant
from tests.simulation.mutants.patching import Patch
from trio_gossip.codec import fields, frames, wire
from trio_gossip.codec.base import DecodeError
from trio_gossip.codec.messages import Alive, Broadcast
from trio_gossip.codec.wire import PARTS_MAX, NativeCodec, PacketRoom
from trio_gossip.engine import mail
from trio_gossip.engine.node import Node


@mutant(
    "a-packet-is-never-full",
    check=("packet-limit",),
    why="slip: piggybacked news is not counted against the packet limit",
    needs=("crowd",),
)
def a_packet_is_never_full(patch: Patch) -> None:
    """Packets take all queued news, however long they become."""

    def take(original, self, size):
        self.count += 1
        return self.count <= PARTS_MAX

    patch.wrap(PacketRoom, "take", take)


@mutant(
    "the-head-is-not-counted",
    check=("packet-limit",),
    why="quickwit/chitchat 170: the size was computed for another head than the one that was sent",
    needs=("crowd", "meta"),
)
def the_head_is_not_counted(patch: Patch) -> None:
    """A packet that is filled to the last byte is too long by its head."""

    def init(original, self, packet_limit):
        original(self, packet_limit + 2)

    patch.wrap(PacketRoom, "__init__", init)


@mutant(
    "the-limit-of-the-link-is-ignored",
    check=("packet-limit",),
    why="al8n/memberlist 161: a packet limit above that of the link made all full packets vanish",
    needs=("crowd", "meta"),
)
def the_limit_of_the_link_is_ignored(patch: Patch) -> None:
    """Packets are as long as the setting allows, though the link takes less."""

    def init(original, self, config, me, codec, rng, packet_limit, *, table=None):
        original(self, config, me, codec, rng, 8 * packet_limit, table=table)

    patch.wrap(Node, "__init__", init)


@mutant(
    "user-news-is-not-in-the-count",
    check=("well-formed", "broadcast-to-all"),
    why="foca 35: custom broadcasts behind small messages made packets that nobody could read",
    needs=("broadcasts",),
)
def user_news_is_not_in_the_count(patch: Patch) -> None:
    """The head of a packet does not count a broadcast behind other messages: trailing bytes."""
    code = bytes((0x85, Broadcast.code))

    def pack(original, self, parts):
        packet = original(self, parts)
        if len(parts) > 1 and parts[-1][:2] == code:
            packet = original(self, parts[:-1]) + parts[-1]
        return packet

    patch.wrap(NativeCodec, "pack", pack)


@mutant(
    "the-last-of-many-is-lost",
    check=("convergence", "broadcast-to-all", "statistics-match-trace"),
    why="foca 18: the last of several entries fell off the end",
)
def the_last_of_many_is_lost(patch: Patch) -> None:
    """Of a packet with more than one message the last one is not read."""

    def unpack(original, self, data):
        messages = original(self, data)
        return messages[:-1] if len(messages) > 1 else messages

    patch.wrap(NativeCodec, "unpack_untrusted", unpack)


@mutant(
    "metadata-is-lost-in-passing-on",
    check=("one-content", "convergence"),
    why="slip: a field is left empty where a claim of another member is encoded again",
    needs=("meta",),
)
def metadata_is_lost_in_passing_on(patch: Patch) -> None:
    """Alive claims travel without their metadata."""
    encode = wire._ENCODERS[Alive]
    patch.item(
        wire._ENCODERS,
        Alive,
        lambda m: encode(Alive(m.incarnation, m.name, m.address, b"", m.versions, m.vouched_by)),
    )


@mutant(
    "a-bad-packet-ends-the-engine",
    check=("no-crash",),
    why="memberlist 357, 361, 363, 368 and 369: malformed input ended the process; and"
    " quickwit/chitchat 183: one receive error ended the server's loop",
    needs=("corruption", "hostile"),
)
def a_bad_packet_ends_the_engine(patch: Patch) -> None:
    """What the decoder refuses raises out of the engine."""

    def unpack(original, self, data):
        try:
            return original(self, data)
        except DecodeError as error:
            raise IndexError(str(error)) from error

    patch.wrap(NativeCodec, "unpack_untrusted", unpack)


@mutant(
    "version-bytes-of-any-length",
    check=("no-crash",),
    why="memberlist 357: an index into version bytes that were not there",
    needs=("hostile",),
)
def version_bytes_of_any_length(patch: Patch) -> None:
    """The number of version bytes is not checked before they are taken apart."""

    def versions(original, value):
        if type(value) is not bytes:
            raise DecodeError("field")
        return value

    patch.wrap(fields, "versions", versions)


@mutant(
    "incarnation-zero-is-read",
    check=("hostile-claims",),
    why="al8n/memberlist 56768ec: alive at incarnation 0 made a record that nobody could see",
    needs=("hostile",),
)
def incarnation_zero_is_read(patch: Patch) -> None:
    """A claim at incarnation 0 is let in, below any that a member can have."""

    def incarnation(original, value):
        return value if value == 0 and type(value) is int else original(value)

    patch.wrap(fields, "incarnation", incarnation)


@mutant(
    "trailing-bytes-are-smuggled-in",
    check=("hostile-claims",),
    why="al8n/memberlist 174: a nested field that was longer than its reader smuggled bytes in",
    needs=("hostile", "corruption"),
)
def trailing_bytes_are_smuggled_in(patch: Patch) -> None:
    """Bytes behind the last message of a packet are not refused."""

    def load(original, data, start, count):
        try:
            return original(data, start, count)
        except DecodeError as error:
            if error.reason != "trailing":
                raise
        for end in range(len(data) - 1, start, -1):
            try:
                return original(data[:end], start, count)
            except DecodeError:
                continue
        raise DecodeError("trailing")

    patch.wrap(wire, "load_arrays_untrusted", load)


@mutant(
    "frames-of-any-length",
    check=("queue-bounds", "memory-bounds"),
    why="memberlist 363: a length in a header was believed, tens of megabytes of it",
    needs=("hostile",),
)
def frames_of_any_length(patch: Patch) -> None:
    """A stranger may announce a frame of gigabytes, and what comes of it is held."""
    patch.value(frames, "FRAME_BYTES_MAX", 1 << 32)


@mutant(
    "held-messages-have-no-bound",
    check=("queue-bounds", "memory-bounds"),
    why="al8n/memberlist 158: half a gigabyte of queued payload was possible",
    needs=("hostile",),
)
def held_messages_have_no_bound(patch: Patch) -> None:
    """Peers may make a member hold any number of messages that are not complete."""
    patch.value(mail, "HELD_MESSAGES", 1 << 30)
