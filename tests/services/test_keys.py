"""Changing keys together: what is asked, what is refused, what is reported."""

from __future__ import annotations

import pickle

import pytest

from tests.services.wired import NEW, OLD, OTHER, ROOM, World, id_of
from trio_gossip.errors import LocalProtocolError
from trio_gossip.services.key_report import NAMED_MAX, KeyAnswer, KeyChangeError, KeyReport
from trio_gossip.services.key_round import ASKED_AT_ONCE
from trio_gossip.services.key_wire import KeyOperation, Phase
from trio_gossip.services.keys import LISTINGS_MAX, KeyCommand

LIST, INSTALL, USE, REMOVE = KeyOperation
CHANGES = [(INSTALL, NEW), (USE, NEW), (REMOVE, OLD)]


def test_a_rotation_changes_every_ring_step_by_step() -> None:
    world = World("abcde")
    report = world.run("c", INSTALL, NEW)
    assert report.operation == "install"
    assert report.key == id_of(NEW).hex()
    assert report.failed == ()
    assert world.rings_are(OLD, NEW)
    assert world.run("a", USE, NEW).answers["d"].primary == id_of(NEW).hex()
    assert world.rings_are(NEW, OLD)
    report = world.run("b", REMOVE, OLD)
    assert world.rings_are(NEW)
    assert list(report.answers) == list("abcde")
    assert report.answers["e"] == KeyAnswer(ok=True, error="", keys=(id_of(NEW).hex(),))
    assert world.hosts["b"].counters["key_change_done"] == 1


def test_a_list_tells_the_keys_of_all_who_answer() -> None:
    world = World("abc", NEW, OLD)
    world.rings["b"].keys = [id_of(OTHER)]
    world.dead.add("c")
    report = world.run("a", LIST)
    assert report.operation == "list"
    assert report.key == ""
    assert report.answers["a"].keys == (id_of(NEW).hex(), id_of(OLD).hex())
    assert report.answers["b"].primary == id_of(OTHER).hex()
    assert report.answers["c"] == KeyAnswer(ok=False, error="c: timed out")
    assert report.answers["c"].primary == ""
    assert report.failed == ("c",)


def test_a_lonely_member_changes_its_own_keys() -> None:
    world = World("a")
    for operation, key in CHANGES:
        world.run("a", operation, key)
    assert world.rings_are(NEW)
    assert world.run("a", LIST).answers["a"].keys == (id_of(NEW).hex(),)


def test_the_secret_travels_only_when_everybody_can_take_it() -> None:
    world = World("abc")
    world.rings["c"].keys = [b"1111", b"2222", b"3333"]
    assert len(world.rings["c"].keys) == ROOM
    token = world.begin("a", INSTALL, NEW)
    while world.letters:
        assert world.letters[0].request.secret == b""
        assert NEW not in world.letters[0].payload
        world.deliver()
    assert str(world.error(token)) == (
        f"install of key {id_of(NEW).hex()} refused, nothing was changed: c: its keyring is full"
    )


# -- refusals ---------------------------------------------------------------------------


@pytest.mark.parametrize(("operation", "key"), CHANGES)
def test_nothing_changes_when_somebody_does_not_answer(operation: KeyOperation, key: bytes) -> None:
    world = World("abcd", NEW, OLD) if operation is REMOVE else World("abcd", OLD, NEW)
    if operation is INSTALL:
        world = World("abcd", OLD)
    before = {name: list(ring.keys) for name, ring in world.rings.items()}
    world.dead.add("c")
    with pytest.raises(KeyChangeError, match="nothing was changed: c: c: timed out") as caught:
        world.run("a", operation, key)
    assert caught.value.refused
    assert caught.value.report.failed == ("c",)
    assert {name: ring.keys for name, ring in world.rings.items()} == before
    assert world.hosts["a"].counters["key_change_refused"] == 1
    world.dead.clear()
    world.run("b", operation, key)


@pytest.mark.parametrize(("operation", "key"), CHANGES)
@pytest.mark.parametrize("where", "ac")
def test_nothing_changes_where_keys_may_not_be_changed_from_afar(
    operation: KeyOperation, key: bytes, where: str
) -> None:
    world = World("abc", NEW, OLD)
    world.rings[where].reason = "it sends in the clear"
    with pytest.raises(KeyChangeError, match=f"{where}: it sends in the clear"):
        world.run("a", operation, key)
    assert world.rings_are(NEW, OLD)
    assert world.run("a", LIST).failed == ()


def test_a_key_does_not_leave_if_it_would_travel_in_the_clear_by_now() -> None:
    world = World("abc", OLD)
    token = world.begin("a", INSTALL, NEW)
    world.rings["a"].reason = "it sends in the clear"
    while world.letters:
        assert NEW not in world.letters[0].payload
        world.deliver()
    assert "a: it sends in the clear" in str(world.error(token))
    assert world.error(token).refused
    assert world.rings_are(OLD)


def test_a_key_that_somebody_has_not_got_is_not_used() -> None:
    world = World("abc", OLD, NEW)
    world.rings["b"].keys = [id_of(OLD)]
    with pytest.raises(KeyChangeError, match="b: the key is not installed"):
        world.run("a", USE, NEW)
    assert all(ring.keys[0] == id_of(OLD) for ring in world.rings.values())


def test_a_key_with_which_somebody_seals_is_not_removed() -> None:
    world = World("abc", NEW, OLD)
    world.rings["b"].keys.reverse()
    with pytest.raises(KeyChangeError, match="b: the key is its primary key"):
        world.run("a", REMOVE, OLD)
    assert all(len(ring.keys) == 2 for ring in world.rings.values())


def test_what_is_wrong_here_is_asked_nowhere_else() -> None:
    world = World("abc", OLD)
    token = world.begin("b", REMOVE, OLD)
    assert not world.letters
    assert world.error(token).report.failed == ("b",)


def test_an_error_names_a_few_members_and_the_report_all() -> None:
    names = [f"n{number:02}" for number in range(10)]
    world = World(names, OLD)
    for name in names[2:]:
        world.rings[name].keys = [b"1111", b"2222", b"3333"]
    with pytest.raises(KeyChangeError) as caught:
        world.run("n00", INSTALL, NEW)
    text = str(caught.value)
    assert text.count("full") == NAMED_MAX
    assert text.endswith("; and 3 more")
    assert len(caught.value.report.failed) == 8


# -- repeated and half done -------------------------------------------------------------


@pytest.mark.parametrize(("operation", "key"), CHANGES)
def test_a_change_may_be_repeated(operation: KeyOperation, key: bytes) -> None:
    world = World("abc", NEW, OLD)
    for name in "abc":
        world.run(name, operation, key)


@pytest.mark.parametrize(("operation", "key"), CHANGES)
def test_a_member_that_dies_in_the_middle_is_named_and_a_repeat_completes_it(
    operation: KeyOperation, key: bytes
) -> None:
    world = World("abcd", *{INSTALL: (OLD,), USE: (OLD, NEW), REMOVE: (NEW, OLD)}[operation])
    token = world.begin("a", operation, key)
    while world.letters[0].request.phase is Phase.CHECK:
        world.deliver()
    world.dead.add("c")
    world.settle()
    error = world.error(token)
    assert not error.refused
    assert error.report.failed == ("c",)
    assert str(error) == (
        f"{operation.name.lower()} of key {id_of(key).hex()} done at 3 of 4 members, but not at"
        " all: c: c: timed out; repeat it to complete it"
    )
    assert world.hosts["a"].counters["key_change_incomplete"] == 1
    done = {name: list(ring.keys) for name, ring in world.rings.items() if name != "c"}
    assert world.rings["c"].keys != done["a"]
    world.dead.clear()
    with pytest.raises(KeyChangeError, match="c: a is changing the keys"):
        world.run("b", operation, key)  # for the rest of a minute
    world.run("a", operation, key)
    after = {name: sorted(ring.keys) for name, ring in world.rings.items()}
    assert len({tuple(keys) for keys in after.values()}) == 1
    assert len({ring.keys[0] for ring in world.rings.values()}) == 1


def test_a_member_that_is_gone_for_good_does_not_stop_the_repeat() -> None:
    world = World("abc", NEW, OLD)
    token = world.begin("a", REMOVE, OLD)
    while world.letters[0].request.phase is Phase.CHECK:
        world.deliver()
    world.dead.add("c")
    world.settle()
    assert world.error(token).report.failed == ("c",)
    world.active.remove("c")
    report = world.run("a", REMOVE, OLD)
    assert list(report.answers) == ["a", "b"]
    assert world.rings_are(NEW)


def test_a_member_that_fails_while_it_is_checked_has_no_say() -> None:
    world = World("abc", OLD)
    token = world.begin("a", INSTALL, NEW)
    world.dead.add("c")
    world.active.remove("c")
    world.settle()
    assert list(world.report(token).answers) == ["a", "b"]
    assert world.rings_are(OLD, NEW)


def test_a_member_that_goes_between_check_and_deed_is_named() -> None:
    world = World([f"n{number:02}" for number in range(ASKED_AT_ONCE + 3)], OLD)
    token = world.begin("n00", INSTALL, NEW)
    while world.letters[0].request.phase is Phase.CHECK:
        world.deliver()
    world.active.remove("n18")  # not asked yet: so many are under way
    world.settle()
    error = world.error(token)
    assert error.report.failed == ("n18",)
    assert "'n18' is no other alive or suspect member" in str(error)


def test_who_comes_while_others_are_checked_is_checked_too() -> None:
    world = World("abc", OLD, NEW)
    token = world.begin("a", USE, NEW)
    world.add("d", OLD)
    world.settle()
    assert world.error(token).report.failed == ("d",)
    assert world.error(token).refused
    world.rings["d"].install(NEW)
    world.run("a", USE, NEW)
    assert world.rings_are(NEW, OLD)


def test_who_comes_while_it_is_done_is_named() -> None:
    world = World("abc", OLD)
    token = world.begin("a", INSTALL, NEW)
    while world.letters[0].request.phase is Phase.CHECK:
        world.deliver()
    world.add("d", OLD)
    world.settle()
    error = world.error(token)
    assert not error.refused
    assert error.report.answers["d"] == KeyAnswer(ok=False, error="came during the change")
    world.run("a", INSTALL, NEW)
    assert world.rings_are(OLD, NEW)


def test_a_ring_that_cannot_do_what_it_said_is_named() -> None:
    world = World("abc", OLD)
    token = world.begin("a", INSTALL, NEW)
    world.rings["b"].broken = "the disk is full"
    world.settle()
    assert world.error(token).report.failed == ("b",)
    assert not world.error(token).refused
    world.rings["b"].broken = ""
    world.run("a", INSTALL, NEW)


def test_a_change_that_cannot_begin_here_ends_without_one() -> None:
    world = World("abc", OLD)
    token = world.begin("a", INSTALL, NEW)
    world.rings["a"].broken = "the disk is full"
    world.settle()
    assert world.error(token).refused
    assert str(world.error(token)).endswith("nothing was changed: a: the disk is full")
    assert world.rings_are(OLD)
    world.rings["a"].broken = ""
    world.run("b", INSTALL, NEW)


def test_a_key_that_leaked_is_removed_as_such_also_a_second_time() -> None:
    world = World("abc", NEW, OLD)
    world.run("a", REMOVE, OLD)
    assert world.rings["b"].leaked == []
    world.run("a", REMOVE, OLD, leaked=True)
    assert all(ring.leaked == [id_of(OLD)] for ring in world.rings.values())


# -- bounds and misuse ------------------------------------------------------------------


@pytest.mark.parametrize("operation", [LIST, INSTALL])
def test_so_many_members_are_asked_at_once_and_no_more(operation: KeyOperation) -> None:
    world = World([f"n{number:03}" for number in range(100)], OLD)
    token = world.begin("n050", operation, b"" if operation is LIST else NEW)
    while world.letters:
        assert len(world.letters) <= ASKED_AT_ONCE
        world.deliver()
    assert len(world.report(token).answers) == 100


def test_lists_under_way_are_bounded() -> None:
    world = World("ab")
    tokens = [world.begin("a", LIST) for _ in range(LISTINGS_MAX)]
    with pytest.raises(LocalProtocolError, match="8 lists"):
        world.begin("a", LIST)
    world.settle()
    assert all(world.report(token).failed == () for token in tokens)
    world.run("a", LIST)


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("list", "not a command for keys: str"),
        (KeyCommand(INSTALL, b"short"), "a key has 16 bytes"),
        (KeyCommand(INSTALL, bytes(65)), "a key has at most 64 bytes"),
        (KeyCommand(USE, NEW), "the id of a key has 4 bytes"),
        (KeyCommand(REMOVE, b""), "the id of a key has 4 bytes"),
    ],
)
def test_a_call_that_makes_no_sense_is_misuse(command: object, text: str) -> None:
    world = World("ab")
    with pytest.raises(LocalProtocolError, match=text):
        world.keys["a"].call(command, 1)
    assert not world.letters
    world.run("a", INSTALL, NEW)


def test_an_answer_that_makes_no_sense_is_none() -> None:
    world = World("ab", OLD)
    token = world.begin("a", INSTALL, NEW)
    world.letters.popleft().answered(b"junk")
    world.settle()
    assert "b: makes no sense" in str(world.error(token))


def test_no_repr_holds_a_secret() -> None:
    world = World("abc", OLD)
    command = KeyCommand(INSTALL, NEW)
    token = world.begin("a", INSTALL, NEW)
    texts = [repr(command)]
    while world.letters:
        texts += [repr(world.letters[0].request), repr(world.keys["a"])]
        world.deliver()
    texts.append(repr(world.report(token)))
    assert not [text for text in texts if "nnnnn" in text]


def test_an_error_survives_pickling() -> None:
    report = KeyReport("use", "6e6e6e6e", {"a": KeyAnswer(ok=False, error="no")})
    error = pickle.loads(pickle.dumps(KeyChangeError(report, refused=True)))
    assert error.report == report
    assert error.refused
    assert str(error) == "use of key 6e6e6e6e refused, nothing was changed: a: no"
