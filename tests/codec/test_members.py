"""The values that every part shares: members, states, versions, names."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.codec import strategies
from trio_gossip.addresses import Address
from trio_gossip.codec import fields
from trio_gossip.codec.base import DecodeError
from trio_gossip.members import (
    ALIVE_JUMP_MAX,
    FIRST_INCARNATION_MAX,
    INCARNATION_JUMP_MAX,
    INCARNATION_MAX,
    META_BYTES_MAX,
    NAME_BYTES_MAX,
    VERSIONS_DEFAULT,
    Member,
    MemberState,
    Versions,
    name_fault,
)

MEMBER = Member("a", Address("10.0.0.1", 7946), MemberState.ALIVE, 1)


@pytest.mark.parametrize(
    ("state", "active"),
    [
        (MemberState.ALIVE, True),
        (MemberState.SUSPECT, True),
        (MemberState.FAILED, False),
        (MemberState.LEFT, False),
    ],
)
def test_alive_and_suspect_members_are_active(state: MemberState, active: bool) -> None:
    assert state.is_active is active
    assert attrs.evolve(MEMBER, state=state).is_active is active


def test_there_are_four_states_and_they_equal_their_text() -> None:
    assert [str(state) for state in MemberState] == ["alive", "suspect", "failed", "left"]
    assert MemberState.FAILED == "failed"


def test_a_member_cannot_be_changed() -> None:
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        MEMBER.incarnation = 2  # type: ignore[misc]  # frozen


def test_equal_members_are_one_key() -> None:
    twin = Member("a", Address("10.0.0.1", 7946), MemberState.ALIVE, 1)
    assert {MEMBER, twin} == {MEMBER}
    assert attrs.evolve(MEMBER, incarnation=2) != MEMBER


def test_a_member_has_no_dict_so_that_thousands_fit_in_memory() -> None:
    assert not hasattr(MEMBER, "__dict__")
    assert not hasattr(Versions(), "__dict__")


def test_version_bytes_are_in_the_order_of_memberlist() -> None:
    assert Versions(1, 5, 2, 3, 9, 4).pack() == bytes((1, 5, 2, 3, 9, 4))
    assert VERSIONS_DEFAULT == bytes((1, 1, 1, 0, 0, 0)) == MEMBER.versions


def test_limits_are_those_of_memberlist() -> None:
    assert (NAME_BYTES_MAX, META_BYTES_MAX) == (255, 512)


def test_plausible_incarnations_leave_room_above_them() -> None:
    # A refutation goes one above an accusation that was believed; both must stay believable.
    assert INCARNATION_JUMP_MAX < ALIVE_JUMP_MAX < FIRST_INCARNATION_MAX < INCARNATION_MAX
    assert INCARNATION_MAX + ALIVE_JUMP_MAX < 2**63


@pytest.mark.parametrize(
    "name", ["a", "a b", " ", "n" * 255, "\u00e9" * 127, "\U0001f600", "\u540d"]
)
def test_printable_text_of_at_most_255_bytes_is_a_name(name: str) -> None:
    assert name_fault(name) is None


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("", "is empty"),
        ("n" * 256, "is longer than 255 bytes"),
        ("\u00e9" * 128, "is longer than 255 bytes"),
        ("\x00", "has a control or unprintable character"),
        ("a\tb", "has a control or unprintable character"),
        ("a\n", "has a control or unprintable character"),
        ("\x1b[31m", "has a control or unprintable character"),
        ("\u202e", "has a control or unprintable character"),
        ("\u00a0", "has a control or unprintable character"),
        ("\ud800", "is not valid Unicode"),
    ],
    ids=ascii,
)
def test_what_is_no_name_gets_a_few_words(name: str, fault: str) -> None:
    assert name_fault(name) == fault


@given(strategies.names | st.text(max_size=300))
def test_a_member_may_have_exactly_the_names_that_others_accept(name: str) -> None:
    # Text with half a surrogate never reaches the decoder: the CBOR around it is refused.
    try:
        accepted = fields.name(name) == name
    except (DecodeError, UnicodeEncodeError):
        accepted = False
    assert accepted == (name_fault(name) is None)
