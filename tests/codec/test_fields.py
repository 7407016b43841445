"""The range of every field: the last value that passes, and the first that does not."""

from __future__ import annotations

from typing import Any

import pytest
from cbor2 import dumps

from tests.codec.hostile import frame_outcome, packet_outcome
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.frames import (
    FRAME_BYTES_MAX,
    RECORDS_MAX,
    REFUSAL_TEXT_MAX,
    SERVICE_BYTES_MAX,
    STATE_BYTES_MAX,
)
from trio_gossip.codec.messages import (
    ACCUSERS_MAX,
    AGE_MS_MAX,
    Ping,
    ServiceAnswer,
    ServiceRequest,
    Unknown,
)
from trio_gossip.codec.wire import BUDGET_MS_MAX, PARTS_MAX

IPV4 = bytes((10, 0, 0, 2, 0x1F, 0x0A))
IPV6 = bytes(15) + b"\x01\x1f\x0a"
VERSIONS = bytes((1, 1, 1, 0, 0, 0))
RECORD = ["b", IPV4, b"", VERSIONS, 1, 0]

MESSAGES: dict[str, list[Any]] = {
    "ping": [0, 1, "b", "a", None],
    "indirect ping": [1, 1, "b", IPV4, "a", 400, True, None],
    "ack": [2, 1, b""],
    "nack": [3, 1],
    "alive": [4, 1, "b", IPV4, b"", VERSIONS, ""],
    "suspect": [5, 1, "b", "a"],
    "dead": [6, 1, "b", "a"],
    "broadcast": [7, "a", 1, 1, b""],
    "user message": [8, "a", b""],
    "leave": [9, 1, 1, "b"],
    "conflict": [10, "b", IPV4, IPV6],
    "bucket sums": [11, 1, "a", bytes(256)],
    "bucket rows": [12, 1, "a", 0, b""],
    "bucket wants": [13, 1, "a", b"", b""],
}
FRAMES: dict[str, list[Any]] = {
    "sync open": [1, 16, "a", IPV4, True],
    "sync members": [1, 17, [RECORD]],
    "sync end": [1, 18, 0, b""],
    "refusal": [1, 19, 1, ""],
    "stream ping": [1, 20, 1, "b", "a"],
    "stream ack": [1, 21, 1],
    "message open": [1, 22, "a", "b", 0],
    "message chunk": [1, 23, b""],
    "message ack": [1, 24],
    "service request": [1, 25, "a", "b", 0, b""],
    "service answer": [1, 26, b""],
}

OTHER_TYPES: list[Any] = [None, True, 1, -1, 1.0, "", "b", b"", b"b", [], [1], {}, {1: 1}, "\x00"]

NAMES_BAD = ["", "a" * 256, "\u00e9" * 128, "\x00", "a\n", "\x7f", "\x1b[2J", "\u202e", "\u2028"]
ADDRESSES_BAD: list[Any] = [
    b"",
    IPV4[:5],
    IPV4 + b"\x00",
    IPV6 + b"\x00",
    IPV4[:4] + b"\x00\x00",
    IPV6[:16] + b"\x00\x00",
    "host",
    ":80",
    "host:",
    "host:0",
    "host:65536",
    "host:99999",
    "host:123456",
    "host:-1",
    "host:+1",
    "host: 80",
    "host:\u0661",
    "a:b:80",
    "[::1]:80",
    "::1:80",
    "ho st:80",
    "host\x00:80",
    "\u202ehost:80",
    "h" * 256 + ":80",
    "\u00e9" * 128 + ":80",
    None,
    80,
]
VERSIONS_BAD = [b"", VERSIONS[:5], VERSIONS + b"\x00", bytes(6), bytes((2, 1, 1, 0, 0, 0))]


def _packet(message: list[Any]) -> str:
    return packet_outcome(dumps([1, message]))


def _with(items: list[Any], at: int, value: object) -> list[Any]:
    return [*items[:at], value, *items[at + 1 :]]


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_with_a_field_missing_or_added_is_refused(name: str) -> None:
    message = MESSAGES[name]
    assert _packet(message) == "ok"
    assert _packet(message[:-1]) == "shape"
    for extra in (None, 0, b""):
        # The summary of a ping and of an ack may be missing, but is never empty.
        # What a helper and an accuser found may be missing as well, and is then never 0: nothing
        # has two spellings.
        refused = "field" if name in ("ping", "ack", "nack") else "shape"
        assert _packet([*message, extra]) == refused
        refused = "field" if name == "suspect" else "shape"
        assert _packet([*message, extra, extra]) == refused


@pytest.mark.parametrize("size", range(12))
def test_the_summary_of_a_ping_has_eight_bytes(size: int) -> None:
    assert _packet([*MESSAGES["ping"], bytes(size)]) == ("ok" if size == 8 else "field")


def test_the_summary_of_an_ack_is_a_flag_or_a_list_of_planes_with_rising_codes() -> None:
    one, two, three = (bytes((code,)) + bytes(8) for code in (0, 1, 255))
    for good in (b"\x00", b"\x01", b"\x00" + one, b"\xff" + one + two + three):
        assert _packet([*MESSAGES["ack"], good]) == "ok"
    many = b"".join(bytes((code,)) + bytes(8) for code in range(17))
    assert _packet([*MESSAGES["ack"], b"\x00" + many[:-9]]) == "ok"
    for bad in (
        b"",
        b"\x02",
        bytes(2),
        one,
        b"\x00" + one[:-1],
        b"\x00" + one + b"\x00",
        b"\x00" + one + one,
        b"\x00" + two + one,
        b"\x00" + many,
    ):
        assert _packet([*MESSAGES["ack"], bad]) == "field"


def test_what_is_compared_in_buckets_has_whole_items() -> None:
    for size in (0, 255, 257, 1400):
        assert _packet([11, 1, "a", bytes(size)]) == "field"
    for size in range(1, 33):
        assert _packet([12, 1, "a", 2**64 - 1, bytes(size)]) == ("field" if size % 7 else "ok")
        assert _packet([13, 1, "a", bytes(size), b""]) == ("field" if size % 3 else "ok")
        assert _packet([13, 1, "a", b"", bytes(size)]) == ("field" if size % 3 else "ok")
    assert _packet([12, 1, "a", -1, b""]) == "field"


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_with_a_field_missing_or_added_is_refused(name: str) -> None:
    frame = FRAMES[name]
    assert frame_outcome(dumps(frame)) == "ok"
    # Which of the words is a matter of how a table's frame is read.
    expected = {"shape", "field", "cbor", "trailing"} if name == "sync members" else {"shape"}
    assert frame_outcome(dumps(frame[:-1])) in expected
    assert frame_outcome(dumps([*frame, None])) in expected


def _refused(outcome: str, value: object) -> bool:
    """True for a refused field; an array or map in its place may be refused by the CBOR reader."""
    return outcome == "field" or (outcome in ("cbor", "shape") and type(value) in (list, dict))


def _accepts_type_of(good: object, value: object) -> bool:
    """True where the value might be legal: the same type, or null and text where optional."""
    return type(value) is type(good) or (good is None and type(value) in (str, bytes))


@pytest.mark.parametrize("name", MESSAGES)
def test_a_field_of_another_type_is_refused(name: str) -> None:
    message = MESSAGES[name]
    for at in range(1, len(message)):
        for value in OTHER_TYPES:
            if not _accepts_type_of(message[at], value):
                assert _refused(_packet(_with(message, at, value)), value), (at, value)


@pytest.mark.parametrize("name", FRAMES)
def test_a_field_of_a_frame_of_another_type_is_refused(name: str) -> None:
    frame = FRAMES[name]
    for at in range(2, len(frame)):
        for value in OTHER_TYPES:
            if name == "sync open" and at == 4 and value == 1:
                continue  # a flag there is push/pull, a number another mode
            if not _accepts_type_of(frame[at], value):
                outcome = frame_outcome(dumps(_with(frame, at, value)))
                assert _refused(outcome, value if name != "sync members" else []), (at, value)


@pytest.mark.parametrize("bad", NAMES_BAD, ids=ascii)
def test_a_bad_name_is_refused_in_every_place_of_a_name(bad: str) -> None:
    for message in MESSAGES.values():
        for at, field in enumerate(message):
            if field in ("a", "b"):
                assert _packet(_with(message, at, bad)) == "field"
    for frame in FRAMES.values():
        for at, field in enumerate(frame):
            if field in ("a", "b"):
                assert frame_outcome(dumps(_with(frame, at, bad))) == "field"
    assert frame_outcome(dumps([1, 17, [_with(RECORD, 0, bad)]])) == "field"


@pytest.mark.parametrize(
    "good", ["a" * 255, "\u00e9" * 127, "\U0001f600" * 63, " ", "a b", "\u540d"]
)
def test_a_name_may_be_any_printable_text_of_255_bytes(good: str) -> None:
    assert _packet(_with(MESSAGES["suspect"], 2, good)) == "ok"


@pytest.mark.parametrize("bad", [bad for bad in NAMES_BAD if bad], ids=ascii)
def test_a_bad_voucher_is_refused(bad: str) -> None:
    assert _packet(_with(MESSAGES["alive"], 6, bad)) == "field"
    assert _packet(_with(MESSAGES["alive"], 6, "a")) == "ok"


@pytest.mark.parametrize("bad", ADDRESSES_BAD, ids=ascii)
def test_a_bad_address_is_refused_in_every_place_of_an_address(bad: object) -> None:
    for message in MESSAGES.values():
        for at, field in enumerate(message):
            if field in (IPV4, IPV6):
                assert _packet(_with(message, at, bad)) == "field"
    if bad is not None:  # where it is optional, null is an answer
        assert _packet(_with(MESSAGES["ping"], 4, bad)) == "field"
        assert _packet(_with(MESSAGES["indirect ping"], 7, bad)) == "field"
    assert frame_outcome(dumps(_with(FRAMES["sync open"], 3, bad))) == "field"
    assert frame_outcome(dumps([1, 17, [_with(RECORD, 1, bad)]])) == "field"


@pytest.mark.parametrize(
    "good", ["h:1", "h" * 255 + ":65535", "\u00e9" * 127 + ":80", "10.0.0.1:80"]
)
def test_a_host_may_be_any_printable_text_without_blank_and_colon(good: str) -> None:
    assert _packet(_with(MESSAGES["alive"], 3, good)) == "ok"


@pytest.mark.parametrize("bad", VERSIONS_BAD, ids=bytes.hex)
def test_version_bytes_that_make_no_sense_are_refused(bad: bytes) -> None:
    assert _packet(_with(MESSAGES["alive"], 5, bad)) == "field"
    assert frame_outcome(dumps([1, 17, [_with(RECORD, 3, bad)]])) == "field"


@pytest.mark.parametrize(
    ("name", "at", "last"),
    [
        ("alive", 1, 2**62),
        ("suspect", 1, 2**62),
        ("dead", 1, 2**62),
        ("leave", 2, 2**62),
        ("broadcast", 2, 2**62),
        ("broadcast", 3, 2**62),
    ],
)
def test_an_incarnation_is_from_1_to_two_to_the_62(name: str, at: int, last: int) -> None:
    for good in (1, last):
        assert _packet(_with(MESSAGES[name], at, good)) == "ok"
    for bad in (-1, 0, last + 1, 2**64 - 1):
        assert _packet(_with(MESSAGES[name], at, bad)) == "field"


@pytest.mark.parametrize("bad", [-1, 3, 256, 2**32, True, None, "0", b"", 0.0], ids=ascii)
def test_what_was_found_is_silent_stalled_or_refused_wherever_it_is_told(bad: object) -> None:
    nack, suspect = [*MESSAGES["nack"], 1], [*MESSAGES["suspect"], 0, 0, "c", 0]
    for good in range(3):
        assert _packet(_with(nack, 2, good)) == ("ok" if good else "field")
        assert _packet(_with(suspect, 4, good)) == "ok"
        assert _packet(_with(suspect, 7, good)) == "ok"
    assert _packet(_with(nack, 2, bad)) == "field"
    assert _packet(_with(suspect, 4, bad)) == "field"
    assert _packet(_with(suspect, 7, bad)) == "field"


def test_an_accusation_is_at_most_ten_minutes_old() -> None:
    suspect = [*MESSAGES["suspect"], 0, AGE_MS_MAX]
    assert _packet(suspect) == "ok"
    for bad in (AGE_MS_MAX + 1, 2**32 - 1, 2**32, -1, 1.0, None):
        assert _packet(_with(suspect, 5, bad)) == "field"


def test_an_accusation_names_nine_accusers_and_no_more() -> None:
    suspect = [*MESSAGES["suspect"], 0, 1]
    for number in range(ACCUSERS_MAX - 1):
        suspect += [f"n{number}", 0]
        assert _packet(suspect) == "ok"
        assert _packet(suspect[:-1]) == "shape", "each of them with what it found"
    assert _packet([*suspect, "one more", 0]) == "shape"
    assert _packet(_with(suspect, 6, "")) == "field"
    assert _packet(_with(suspect, 6, "n" * 256)) == "field"


def test_sizes_are_accepted_to_the_limit_and_no_further() -> None:
    alive, indirect = MESSAGES["alive"], MESSAGES["indirect ping"]
    assert _packet(_with(alive, 4, b"m" * 512)) == "ok"
    assert _packet(_with(alive, 4, b"m" * 513)) == "field"
    assert _packet(_with(indirect, 5, BUDGET_MS_MAX)) == "ok"
    assert _packet(_with(indirect, 5, BUDGET_MS_MAX + 1)) == "field"
    end, refusal, members = FRAMES["sync end"], FRAMES["refusal"], FRAMES["sync members"]
    assert frame_outcome(dumps(_with(end, 3, b"s" * STATE_BYTES_MAX))) == "ok"
    assert frame_outcome(dumps(_with(end, 3, b"s" * (STATE_BYTES_MAX + 1)))) == "field"
    assert frame_outcome(dumps(_with(refusal, 3, "\u540d" * REFUSAL_TEXT_MAX))) == "ok"
    assert frame_outcome(dumps(_with(refusal, 3, "t" * (REFUSAL_TEXT_MAX + 1)))) == "field"
    assert frame_outcome(dumps(_with(refusal, 3, "\x1b[2J"))) == "field"
    assert frame_outcome(dumps(_with(members, 2, [RECORD] * RECORDS_MAX))) == "ok"
    assert frame_outcome(dumps(_with(members, 2, [RECORD] * (RECORDS_MAX + 1)))) == "field"
    chunk = dumps(_with(FRAMES["message chunk"], 2, b"c" * (FRAME_BYTES_MAX - 8)))
    assert len(chunk) == FRAME_BYTES_MAX
    assert frame_outcome(chunk) == "ok"
    request, answer = FRAMES["service request"], FRAMES["service answer"]
    for frame, at in ((request, 5), (answer, 2)):
        assert frame_outcome(dumps(_with(frame, at, b"p" * SERVICE_BYTES_MAX))) == "ok"
        assert frame_outcome(dumps(_with(frame, at, b"p" * (SERVICE_BYTES_MAX + 1)))) == "field"
    assert frame_outcome(dumps(_with(request, 4, 255))) == "ok"
    assert frame_outcome(dumps(_with(request, 4, 256))) == "field"


def test_what_services_say_may_be_secret_and_is_in_no_repr() -> None:
    assert "hunter2" not in repr(ServiceRequest("a", "b", 1, b"hunter2"))
    assert "hunter2" not in repr(ServiceAnswer(b"hunter2"))


@pytest.mark.parametrize("bad", [[], RECORD[:5], [*RECORD, 0], None, {}, "record", 0])
def test_a_record_of_another_shape_is_refused(bad: object) -> None:
    assert frame_outcome(dumps([1, 17, [RECORD, bad]])) in ("field", "shape", "cbor")


@pytest.mark.parametrize("bad", [-1, 4, True, None, 1.0, "0"])
def test_a_record_has_one_of_four_states(bad: object) -> None:
    for good in range(4):
        assert frame_outcome(dumps([1, 17, [_with(RECORD, 5, good)]])) == "ok"
    assert frame_outcome(dumps([1, 17, [_with(RECORD, 5, bad)]])) == "field"


@pytest.mark.parametrize("version", [0, 2, 255, 2**32])
def test_other_versions_are_dropped_whole(version: int) -> None:
    assert packet_outcome(dumps([version, MESSAGES["nack"]])) == "version"
    assert frame_outcome(dumps([version, 21, 1])) == "version"


@pytest.mark.parametrize("version", [-1, True, None, "1", b"\x01", 1.0, [1], {}])
def test_a_version_is_a_number(version: object) -> None:
    refusals = ("shape", "version", "cbor")
    assert packet_outcome(dumps([version, MESSAGES["nack"]])) in refusals
    assert frame_outcome(dumps([version, 21, 1])) in refusals


@pytest.mark.parametrize("items", [[], [1], None, 1, "text", b"bytes", {1: 1}, [[3, 1]]])
def test_a_packet_is_a_version_and_at_least_one_message(items: object) -> None:
    assert packet_outcome(dumps(items)) in ("shape", "cbor")
    assert frame_outcome(dumps(items)) in ("shape", "cbor")


@pytest.mark.parametrize(
    "message", [[], None, 3, "ping", b"", {}, [None], ["3", 1], [True, 1], [3.0]]
)
def test_a_message_is_an_array_that_starts_with_its_code(message: object) -> None:
    assert packet_outcome(dumps([1, message])) == "shape"


@pytest.mark.parametrize("code", [16, 17, 24, 127, 255])
def test_an_unknown_message_is_counted_whatever_it_holds(code: int) -> None:
    for rest in ([], [None], [b"x" * 500], [1, "text", True]):
        packet = dumps([1, MESSAGES["nack"], [code, *rest], MESSAGES["ping"]])
        decoded = NativeCodec().unpack_untrusted(packet)
        assert decoded[1:] == [Unknown(code), Ping(1, "b", "a")]


@pytest.mark.parametrize("code", [-1, 256, 2**32, 2**64 - 1])
def test_a_code_is_one_byte(code: int) -> None:
    assert packet_outcome(dumps([1, [code, 1]])) == "shape"


@pytest.mark.parametrize("code", [0, 10, 15, 27, 255, 256, -1, True, None, "16"])
def test_an_unknown_frame_ends_the_stream(code: object) -> None:
    # A frame cannot be skipped as a message can: the exchange would wait for its answer.
    assert frame_outcome(dumps([1, code, 1])) == "unknown_frame"


def test_more_messages_than_a_packet_may_hold_are_refused() -> None:
    assert packet_outcome(dumps([1] + [MESSAGES["nack"]] * PARTS_MAX)) == "ok"
    assert packet_outcome(dumps([1] + [MESSAGES["nack"]] * (PARTS_MAX + 1))) == "shape"
