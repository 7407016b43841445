"""Bugs in the messages of the application: delivered once, to all, and whole."""

from __future__ import annotations

from tests.simulation.mutants.catalogue import mutant
from tests.simulation.mutants.patching import Patch
from trio_gossip.codec import wire
from trio_gossip.codec.messages import Broadcast
from trio_gossip.engine import seen
from trio_gossip.engine.mail import Mail, _Sender
from trio_gossip.engine.outbox import Outbox
from trio_gossip.engine.seen import Seen
from trio_gossip.events import MessageReceived


@mutant(
    "broadcasts-are-not-remembered",
    check=("broadcast-once", "quiescence"),
    why="slip: what was delivered is not noted",
    needs=("broadcasts",),
)
def broadcasts_are_not_remembered(patch: Patch) -> None:
    """Each copy of a broadcast is delivered and passed on again, for ever."""

    def is_new(original, self, origin, epoch, counter):
        return True

    patch.wrap(Seen, "is_new", is_new)


@mutant(
    "the-window-of-broadcasts-is-one",
    check=("broadcast-to-all",),
    why="slip: only the highest counter of an origin is remembered",
    needs=("broadcasts", "reorder"),
)
def the_window_of_broadcasts_is_one(patch: Patch) -> None:
    """A broadcast that was overtaken by the next one of its origin is not delivered."""
    patch.value(seen, "WINDOW", 1)


@mutant(
    "few-origins-are-remembered",
    check=("broadcast-once",),
    why="slip: a memory for two origins, in a cluster of more",
    needs=("broadcasts",),
)
def few_origins_are_remembered(patch: Patch) -> None:
    """Broadcasts of a third origin push the first one out, whose echoes are delivered again."""
    patch.value(seen, "ORIGINS_MAX", 2)


@mutant(
    "the-memory-of-broadcasts-is-swept",
    check=("broadcast-once",),
    why="scalecube, GossipDelayTest: gossip that was delayed beyond the sweep was delivered twice",
    needs=("broadcasts", "reorder"),
)
def the_memory_of_broadcasts_is_swept(patch: Patch) -> None:
    """What was delivered is forgotten now and then, and late copies are delivered again."""

    heard = []

    def is_new(original, self, origin, epoch, counter):
        heard.append(counter)
        if len(heard) % 40 == 0:
            self._windows.clear()
        return original(self, origin, epoch, counter)

    patch.wrap(Seen, "is_new", is_new)


@mutant(
    "a-restarted-origin-repeats-itself",
    check=("broadcast-to-all",),
    why="slip: the epoch of a broadcast is ignored, and its counter starts again after a restart",
    needs=("broadcasts", "restart"),
)
def a_restarted_origin_repeats_itself(patch: Patch) -> None:
    """The first broadcasts of a restarted member pass for old ones."""

    def is_new(original, self, origin, epoch, counter):
        return original(self, origin, 1, counter)

    patch.wrap(Seen, "is_new", is_new)


@mutant(
    "broadcasts-are-not-passed-on",
    check=("broadcast-to-all",),
    why="slip: the receiver delivers and forgets",
    needs=("broadcasts", "crowd"),
)
def broadcasts_are_not_passed_on(patch: Patch) -> None:
    """Only the origin sends its broadcast, to as many as the retransmit limit allows."""

    def queue(original, self, message, key):
        if message.origin == self._node.name:
            original(self, message, key)

    patch.wrap(Mail, "_queue", queue)


@mutant(
    "an-echo-is-delivered-at-home",
    check=("broadcast-once",),
    why="slip: the origin does not know its own broadcast again",
    needs=("broadcasts",),
)
def an_echo_is_delivered_at_home(patch: Patch) -> None:
    """A member gets its own broadcast when it comes back to it."""

    def received(original, self, message):
        node = self._node
        if message.origin == node.name and self._seen.is_new(
            message.origin, message.epoch, message.counter
        ):
            node.outbox.notify(MessageReceived(message.origin, message.payload))
        original(self, message)

    patch.wrap(Mail, "broadcast_received", received)


@mutant(
    "long-broadcasts-are-cut",
    check=("broadcast-to-all",),
    why="al8n/memberlist 90: messages of the application arrived truncated",
    needs=("broadcasts", "oversize"),
)
def long_broadcasts_are_cut(patch: Patch) -> None:
    """Of a payload of more than 64 bytes the first 64 arrive."""
    encode = wire._ENCODERS[Broadcast]
    patch.item(
        wire._ENCODERS,
        Broadcast,
        lambda m: encode(Broadcast(m.origin, m.epoch, m.counter, m.payload[:64])),
    )


@mutant(
    "what-fits-no-packet-is-queued",
    check=("queue-bounds", "quiescence", "packet-limit"),
    why="memberlist queues a broadcast of any size; one that fits no packet stays for ever",
    needs=("broadcasts", "oversize"),
    point=13,
)
def what_fits_no_packet_is_queued(patch: Patch) -> None:
    """A message beyond the packet limit is taken, and waits in the queue for ever."""

    def fits(original, self, data):
        return True

    patch.wrap(Outbox, "fits", fits)


@mutant(
    "a-key-replaces-the-messages-of-others",
    check=("broadcast-to-all",),
    why="slip: the key of a broadcast is not told apart by origin",
    needs=("broadcasts",),
)
def a_key_replaces_the_messages_of_others(patch: Patch) -> None:
    """What one passes on for others is replaced by the next broadcast with the same counter."""

    def queue(original, self, message, key):
        original(self, message, message.counter)

    patch.wrap(Mail, "_queue", queue)


@mutant(
    "a-broken-reliable-message-never-ends",
    check=("commands-complete", "reliable-delivery"),
    why="slip: only the acknowledgement ends the command, not the failure of its stream",
    needs=("stream cut",),
)
def a_broken_reliable_message_never_ends(patch: Patch) -> None:
    """A reliable message whose stream breaks never ends for the caller."""

    def failed(original, self, exchange, failure):
        pass

    patch.wrap(_Sender, "failed", failed)
