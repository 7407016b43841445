"""Events as records for JSON and as lines for people."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias, assert_never

from trio_gossip.cli.problems import visible
from trio_gossip.events import (
    ContactLost,
    ContactRegained,
    Event,
    JoinResult,
    Lagged,
    MemberFailed,
    MemberJoined,
    MemberLeft,
    MemberReaped,
    MemberRecovered,
    MemberSuspected,
    MemberUpdated,
    MessageReceived,
    NameConflict,
)
from trio_gossip.members import Member

Record: TypeAlias = dict[str, Any]
"""What becomes one JSON object: ``time`` (unix seconds), ``event``, and more by event."""

_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")


def event_name(cls: type) -> str:
    """``MemberFailed`` is printed as ``member_failed``."""
    return _CAPITAL.sub("_", cls.__name__).lower()


def event_record(event: Event | JoinResult, *, time: float) -> Record:
    """An event as a record; ``time`` is in unix seconds."""
    record: Record = {"time": round(time, 6), "event": event_name(type(event))}
    match event:
        case (
            MemberJoined()
            | MemberUpdated()
            | MemberSuspected()
            | MemberRecovered()
            | MemberFailed()
            | MemberLeft()
            | MemberReaped()
        ):
            record["member"] = member_record(event.member)
            if isinstance(event, MemberUpdated):
                before = event.previous
                record["previous"] = member_record(before) if before is not None else None
            record["reason"] = event.reason.value
            record["accusers"] = list(event.accusers)
            record["tried"] = list(event.tried)
            if event.evidence is not None:
                record["evidence"] = event.evidence.name.lower()
                record["testimony"] = {name: found.name.lower() for name, found in event.testimony}
                record["steps"] = {step: round(ago, 6) for step, ago in event.steps}
            record["health_score"] = event.health_score
            record["version"] = event.version
        case MessageReceived():
            record["sender"] = event.sender
            record |= text_fields("payload", event.payload)
            record["delivery"] = event.delivery.value
        case NameConflict():
            record["existing"] = member_record(event.existing)
            record["other"] = str(event.other)
        case ContactLost() | ContactRegained():
            pass
        case Lagged():
            record["missed"] = event.missed
        case JoinResult():
            record["seed"] = event.seed
            record["joined"] = event.joined
            record["address"] = str(event.address) if event.address is not None else None
            record["members"] = event.members
            record["error"] = str(event.error) if event.error is not None else None
        case _:  # pragma: no cover - the union is closed
            assert_never(event)
    return record


def started_record(member: Member, *, bound: str, profile: str, pid: int, time: float) -> Record:
    """The first line. ``address`` is where this process listens; ``member.address`` is what the
    others are told, which differs behind NAT or when bound to all interfaces.
    """
    return {
        "time": round(time, 6),
        "event": "started",
        "member": member_record(member),
        "address": bound,
        "profile": profile,
        "pid": pid,
    }


def left_record(acked: int, *, time: float) -> Record:
    """The last line of a graceful end: so many members acknowledged the goodbye."""
    return {"time": round(time, 6), "event": "left", "acked": acked}


def member_record(member: Member) -> Record:
    """A member as a record."""
    return {
        "name": member.name,
        "address": str(member.address),
        "state": member.state.value,
        "incarnation": member.incarnation,
        **text_fields("meta", member.meta),
    }


def text_fields(name: str, data: bytes) -> Record:
    """Bytes as text; with the exact bytes beside it when they are no valid UTF-8."""
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        text = data.decode(errors="backslashreplace")
        return {name: text, f"{name}_base64": base64.b64encode(data).decode()}


def to_json(record: Mapping[str, Any]) -> str:
    """One line of plain ASCII, whatever the names and payloads are."""
    return json.dumps(record)


def to_text(record: Mapping[str, Any]) -> str:
    """One line for a person: time of day, event, and what matters about it."""
    moment = datetime.fromtimestamp(record["time"]).astimezone()
    clock = f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03}"
    return f"{clock}  {record['event']:<16}  {visible(_details(record))}"


def _details(record: Mapping[str, Any]) -> str:
    match record["event"]:
        case "started":
            told = record["member"]["address"]
            bound = record["address"]
            elsewhere = "" if told == bound else f" (others are told {told})"
            hint = "lines typed here go to every other member; Ctrl-C leaves"
            return f"{record['member']['name']} listens at {bound}{elsewhere}; {hint}"
        case "left":
            return f"goodbye acknowledged by {record['acked']} of the others"
        case "join_result" if record["joined"]:
            return f"through {record['seed']}, which knows {record['members']} members"
        case "join_result":
            return f"not through {record['seed']}: {record['error']}"
        case "message_received":
            how = "" if record["delivery"] == "broadcast" else f" (by {record['delivery']})"
            return f"{record['sender']}{how}: {record['payload']}"
        case "name_conflict":
            name, held = record["existing"]["name"], record["existing"]["address"]
            return f"{name} is claimed at {held} and at {record['other']}"
        case "contact_lost":
            return "nobody answers any more, neither members nor helpers: are we cut off?"
        case "contact_regained":
            return "somebody answers again"
        case "lagged":
            return f"{record['missed']} events were dropped: this output is read too slowly"
        case _:
            return _member_details(record)


def _member_details(record: Mapping[str, Any]) -> str:
    member = record["member"]
    why = [record["reason"].replace("_", " ")]
    if "evidence" in record:
        why.append(record["evidence"])
    if record["accusers"]:
        why.append(f"accused by {', '.join(record['accusers'])}")
    if record["tried"]:
        why.append(f"tried {', '.join(record['tried'])}")
    if record["health_score"]:
        why.append(f"own health {record['health_score']}")
    text = f"{member['name']} at {member['address']} ({'; '.join(why)})"
    if member["meta"]:
        text += f" meta {member['meta']}"
    return text
