"""What failed members wrote makes no difference to repair, whoever has forgotten it already."""

from __future__ import annotations

import random

from tests.services.stating import StateWorld
from trio_gossip.plane import SUM_MASK
from trio_gossip.services.state_records import Plane
from trio_gossip.services.state_wire import parse_news_untrusted

NAMES = "abcd"


def all_know_what_a_wrote(*names: str) -> StateWorld:
    world = StateWorld(NAMES)
    world.write("a", "k", b"v")
    world.gossip("a", *names)
    return world


def counted(world: StateWorld, writer: str, is_active: bool, *names: str) -> None:
    for name in names:
        world.states[name].counted(writer, is_active)


def digests(world: StateWorld, *names: str, plane: Plane = Plane.STATE) -> set[int]:
    return {world.plane(name, plane).digest for name in names}


def test_members_that_reap_a_writer_at_different_times_have_one_digest() -> None:
    world = all_know_what_a_wrote("b", "c", "d")
    counted(world, "a", False, "b", "c", "d")
    assert digests(world, "b", "c", "d") == {0}
    world.states["b"].forget("a")
    assert digests(world, "b", "c", "d") == {0}
    assert world.get("c", "k") == b"v", "it is shown until it is reaped"


def test_who_came_after_the_end_of_a_writer_has_the_digest_of_the_others() -> None:
    world = all_know_what_a_wrote("b")
    counted(world, "a", False, "b")
    del world.known["a"]
    assert digests(world, "b", "c") == {0}


def test_a_writer_that_returns_before_it_was_reaped_counts_as_before() -> None:
    world = all_know_what_a_wrote("b", "c")
    before = world.plane("b").digest
    counted(world, "a", False, "b")
    counted(world, "a", True, "b")
    counted(world, "a", True, "b")
    assert world.plane("b").digest == world.plane("c").digest == before


def test_who_reaped_a_writer_that_returns_is_told_what_it_forgot() -> None:
    world = all_know_what_a_wrote("b", "c")
    counted(world, "a", False, "b", "c")
    world.states["c"].forget("a")
    counted(world, "a", True, "b", "c")
    difference = (world.plane("b").digest - world.plane("c").digest) & SUM_MASK
    [news] = world.plane("b").explain(difference)
    assert parse_news_untrusted(news.payload)[1].key == "k"
    world.states["c"].news_untrusted(news.payload, "b")
    assert world.get("c", "k") == b"v"
    assert digests(world, "b", "c") == {world.plane("a").digest}


def test_what_is_heard_of_a_failed_writer_is_kept_and_counts_when_it_returns() -> None:
    world = all_know_what_a_wrote("b", "c")
    counted(world, "a", False, "b")
    changed_at = world.plane("b").changed_at
    world.now += 1.0
    world.write("a", "k", b"last words")
    world.gossip("a", "b", "c")
    assert world.get("b", "k") == b"last words"
    assert world.plane("b").digest == 0
    assert world.plane("b").changed_at == changed_at, "repair has nothing to wait for"
    counted(world, "a", True, "b")
    assert world.plane("b").digest == world.plane("c").digest != 0
    assert world.plane("b").changed_at == world.now


def test_what_was_written_to_shared_keys_counts_for_good() -> None:
    world = StateWorld(NAMES)
    world.write("a", "k", b"v", Plane.SHARED)
    world.gossip("a", "b", "c")
    counted(world, "a", False, "b")
    world.states["b"].forget("a")
    assert len(digests(world, "a", "b", "c", plane=Plane.SHARED)) == 1


def test_a_failed_member_that_wrote_nothing_changes_nothing() -> None:
    world = all_know_what_a_wrote("b")
    before = (world.plane("b").digest, world.plane("b").changed_at)
    world.now += 1.0
    counted(world, "c", False, "b")
    counted(world, "c", True, "b")
    assert (world.plane("b").digest, world.plane("b").changed_at) == before


def test_the_digest_is_always_the_sum_over_the_writers_that_count() -> None:
    rng = random.Random(5)
    world = StateWorld(NAMES)
    plane, seen = world.plane("a"), world.replica("a").seen
    active = dict.fromkeys(NAMES, True)
    for number in range(600):
        name = rng.choice(NAMES)
        match rng.randrange(5):
            case 0 if name != "a":
                active[name] = not active[name]
                world.states["a"].counted(name, active[name])
            case 1 if not active[name]:
                world.states["a"].forget(name)
                active[name] = True  # and when it comes again, it was not there before
            case 2:
                if name != "a":
                    world.add(name)  # a new life, with a larger generation
            case 3:
                world.now += 1.0
            case _:
                world.write(name, rng.choice("xyz"), rng.choice((b"v", b"w", None)))
                world.gossip(name, *(other for other in NAMES if other != name))
        terms = (seen.term(life, top) for life, top in seen.tops() if active[life[0]])
        assert plane.digest == sum(terms) & SUM_MASK, number
    assert world.hosts["a"].counters["state_old"] > 0, "former lives were heard of"
