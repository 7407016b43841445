"""Messages of the protocol in words, for people who read a trace."""

from __future__ import annotations

from trio_gossip.codec.messages import (
    Ack,
    Alive,
    Announce,
    Broadcast,
    BucketRows,
    BucketSums,
    BucketWants,
    Conflict,
    Dead,
    IndirectPing,
    Leave,
    Nack,
    Ping,
    Suspect,
    UserMessage,
)


def message_text(message: object) -> str:
    """One message in a few words."""
    match message:
        case Ping(target=target):
            return f"ping {target}"
        case IndirectPing(target=target, source=source):
            return f"indirect ping {target} for {source}"
        case Ack():
            return "ack"
        case Nack():
            return "nack"
        case Alive(name=name, incarnation=incarnation):
            return f"alive {name}@{incarnation}"
        case Suspect(name=name, incarnation=incarnation, accuser=accuser):
            return f"suspect {name}@{incarnation} by {accuser}"
        case Dead(name=name, incarnation=incarnation, accuser=accuser):
            if message.is_goodbye:
                return f"goodbye {name}@{incarnation}"
            return f"dead {name}@{incarnation} by {accuser}"
        case Broadcast(origin=origin, counter=counter, payload=payload):
            return f"broadcast {origin}#{counter} {len(payload)} bytes"
        case Announce(origin=origin, counter=counter, size=size):
            return f"announcement {origin}#{counter} {size} bytes"
        case UserMessage(sender=sender, payload=payload):
            return f"message of {sender} {len(payload)} bytes"
        case Leave(name=name, incarnation=incarnation):
            return f"leave {name}@{incarnation}"
        case Conflict(name=name, holder=holder):
            return f"conflict {name} held at {holder}"
        case BucketSums(source=source):
            return f"bucket sums of {source}"
        case BucketRows(source=source, buckets=buckets):
            return f"bucket rows of {source} {buckets.bit_count()} buckets"
        case BucketWants(source=source):
            return f"bucket wants of {source}"
        case _:
            return type(message).__name__.lower()
