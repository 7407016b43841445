"""Events become records that survive JSON, and lines that a terminal can show."""

from __future__ import annotations

import base64
import json
import typing

import pytest

from trio_gossip.addresses import Address
from trio_gossip.cli.printing import (
    event_name,
    event_record,
    left_record,
    started_record,
    to_json,
    to_text,
)
from trio_gossip.errors import PeerUnreachableError
from trio_gossip.events import (
    Delivery,
    Event,
    JoinResult,
    Lagged,
    MemberEvent,
    MemberFailed,
    MemberJoined,
    MemberSuspected,
    MemberUpdated,
    MessageReceived,
    NameConflict,
    Reason,
)
from trio_gossip.members import Member, MemberState

ADDRESS = Address("127.0.0.1", 7001)
BOB = Member("bob", ADDRESS, MemberState.FAILED, 42, b"rack 7")
BOB_RECORD = {
    "name": "bob",
    "address": "127.0.0.1:7001",
    "state": "failed",
    "incarnation": 42,
    "meta": "rack 7",
}
NAMES = {
    "MemberJoined": "member_joined",
    "MemberUpdated": "member_updated",
    "MemberSuspected": "member_suspected",
    "MemberRecovered": "member_recovered",
    "MemberFailed": "member_failed",
    "MemberLeft": "member_left",
    "MemberReaped": "member_reaped",
    "NameConflict": "name_conflict",
    "ContactLost": "contact_lost",
    "ContactRegained": "contact_regained",
    "MessageReceived": "message_received",
    "Lagged": "lagged",
}


def record(event: object) -> dict[str, typing.Any]:
    """Through JSON, as another program reads it."""
    return json.loads(to_json(event_record(event, time=1.5)))  # type: ignore[arg-type]  # any event


def test_every_event_class_has_the_snake_case_name_that_is_documented():
    classes = typing.get_args(Event)
    assert {cls.__name__: event_name(cls) for cls in classes} == NAMES


@pytest.mark.parametrize("cls", typing.get_args(MemberEvent))
def test_a_member_event_tells_the_member_and_why(cls):
    event = cls(BOB, 7, Reason.ACCUSED, ("ann", "cy"), ("direct", "stream"), 2)
    found = record(event)
    if cls is MemberUpdated:
        assert found.pop("previous") is None
    assert found == {
        "time": 1.5,
        "event": NAMES[cls.__name__],
        "member": BOB_RECORD,
        "version": 7,
        "reason": "accused",
        "accusers": ["ann", "cy"],
        "tried": ["direct", "stream"],
        "health_score": 2,
    }


def test_an_update_tells_what_the_member_was_before():
    before = Member("bob", Address("::1", 7001), MemberState.ALIVE, 41)
    found = record(MemberUpdated(BOB, previous=before))
    assert found["previous"]["address"] == "[::1]:7001"
    assert found["previous"]["incarnation"] == 41


def test_a_message_of_valid_utf_8_is_plain_text():
    found = record(MessageReceived("ann", "grüße\n".encode(), Delivery.STREAM))
    assert found == {
        "time": 1.5,
        "event": "message_received",
        "sender": "ann",
        "payload": "grüße\n",
        "delivery": "stream",
    }


def test_a_message_of_other_bytes_is_readable_and_exact():
    payload = b"a\xff\x00b"
    found = record(MessageReceived("ann", payload))
    assert found["payload"] == "a\\xff\x00b"
    assert base64.b64decode(found["payload_base64"]) == payload


def test_meta_of_other_bytes_is_readable_and_exact():
    found = record(MemberJoined(Member("ann", ADDRESS, MemberState.ALIVE, 1, b"\xfe")))
    assert found["member"]["meta"] == "\\xfe"
    assert base64.b64decode(found["member"]["meta_base64"]) == b"\xfe"


def test_a_name_conflict_tells_both_claimants():
    found = record(NameConflict(BOB, Address("127.0.0.1", 7002)))
    assert found == {
        "time": 1.5,
        "event": "name_conflict",
        "existing": BOB_RECORD,
        "other": "127.0.0.1:7002",
    }


def test_lagging_tells_how_many_events_are_missing():
    assert record(Lagged(12)) == {"time": 1.5, "event": "lagged", "missed": 12}


def test_a_seed_that_was_joined_tells_its_address():
    found = record(JoinResult("seed:7001", ADDRESS, 5))
    assert found == {
        "time": 1.5,
        "event": "join_result",
        "seed": "seed:7001",
        "joined": True,
        "address": "127.0.0.1:7001",
        "members": 5,
        "error": None,
    }


def test_a_seed_that_was_not_joined_tells_why():
    found = record(JoinResult("seed:7001", error=PeerUnreachableError("refused")))
    assert (found["joined"], found["address"], found["error"]) == (False, None, "refused")


def test_the_first_line_tells_what_is_bound_and_what_others_are_told():
    found = started_record(BOB, bound="0.0.0.0:7001", profile="lan", pid=3, time=2.0)
    assert found == {
        "time": 2.0,
        "event": "started",
        "member": BOB_RECORD,
        "address": "0.0.0.0:7001",
        "profile": "lan",
        "pid": 3,
    }
    assert "listens at 0.0.0.0:7001 (others are told 127.0.0.1:7001)" in to_text(found)


TEXTS = [
    (MemberJoined(BOB), "bob at 127.0.0.1:7001 (announced) meta rack 7"),
    (
        MemberSuspected(BOB, 1, Reason.PROBE_FAILED, ("me",), ("direct", "relayed"), 3),
        "(probe failed; accused by me; tried direct, relayed; own health 3)",
    ),
    (MessageReceived("ann", b"hi"), "ann: hi"),
    (MessageReceived("ann", b"hi", Delivery.DATAGRAM), "ann (by datagram): hi"),
    (NameConflict(BOB, Address("h", 1)), "bob is claimed at 127.0.0.1:7001 and at h:1"),
    (Lagged(3), "3 events were dropped"),
    (JoinResult("s:1", ADDRESS, 4), "through s:1, which knows 4 members"),
    (JoinResult("s:1", error=OSError("refused")), "not through s:1: refused"),
]


@pytest.mark.parametrize(("event", "part"), TEXTS)
def test_the_line_for_people_says_what_matters(event, part):
    found = event_record(event, time=1.5)
    line = to_text(found)
    assert found["event"] in line
    assert part in line


def test_the_last_line_counts_who_heard_the_goodbye():
    assert "acknowledged by 2 of the others" in to_text(left_record(2, time=0.0))


def test_a_message_cannot_move_the_cursor_or_begin_a_new_line():
    line = to_text(event_record(MessageReceived("ann", b"\x1b[2J one\ntwo\rthree"), time=0.0))
    assert line.isprintable()
    assert r"\x1b[2J one\ntwo\rthree" in line


def test_json_is_one_line_of_plain_ascii():
    line = to_json(
        event_record(MemberFailed(Member("bär\u2028", ADDRESS, MemberState.FAILED, 1)), time=0)
    )
    assert line.isascii()
    assert "\n" not in line
    assert json.loads(line)["member"]["name"] == "bär\u2028"
