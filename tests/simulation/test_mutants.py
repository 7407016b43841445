"""The catalogue of seeded bugs is in order: each can be planted, changes something, and goes."""

from __future__ import annotations

import re
import sys

import pytest

from tests.simulation.mutants import CATALOGUE, NEEDS, POINTS, THEMES, Mutant, Patch, PatchError
from tests.simulation.mutants.gauntlet import difference
from tests.simulation.mutants.scenarios import GAUNTLET, likely_first, old_news
from trio_gossip.codec import frames, wire
from trio_gossip.engine.awareness import Awareness
from trio_gossip.engine.claims import Claims
from trio_gossip.engine.membership import Membership
from trio_gossip.engine.suspicion import Suspicion

KEBAB = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
BY_NAME = {mutant.name: mutant for mutant in CATALOGUE}

every_mutant = pytest.mark.parametrize(
    "mutant", CATALOGUE, ids=[mutant.name for mutant in CATALOGUE]
)


def inventory() -> dict[tuple[str, str], object]:
    """Every attribute of every module and class of the library, and the dispatch tables."""
    found: dict[tuple[str, str], object] = {}
    for name, module in list(sys.modules.items()):
        if not name.startswith("trio_gossip.") or module is None:
            continue
        for key, value in list(vars(module).items()):
            found[name, key] = value
            if isinstance(value, type) and value.__module__ == name:
                found.update(
                    ((f"{name}.{key}", attribute), stored)
                    for attribute, stored in vars(value).items()
                )
    for table in (wire._ENCODERS, frames.FRAME_CODERS):
        found.update(((str(id(table)), str(key)), value) for key, value in table.items())
    return found


def test_there_are_many_bugs_and_each_has_a_name_of_its_own() -> None:
    assert len(CATALOGUE) >= 75
    assert len(BY_NAME) == len(CATALOGUE)


def test_every_theme_and_every_mended_point_has_bugs() -> None:
    themes = {mutant.theme for mutant in CATALOGUE}
    assert themes == {theme.__name__.rpartition(".")[2] for theme in THEMES}
    assert {mutant.point for mutant in CATALOGUE} - {None} == set(POINTS)


def test_everything_that_a_bug_may_need_is_needed_by_one() -> None:
    assert {need for mutant in CATALOGUE for need in mutant.needs} == set(NEEDS)


@every_mutant
def test_a_bug_says_what_it_is_where_it_comes_from_and_who_should_notice(mutant: Mutant) -> None:
    assert KEBAB.fullmatch(mutant.name)
    assert mutant.plant.__name__ == mutant.name.replace("-", "_"), "one name in two spellings"
    assert mutant.description.endswith(".")
    assert mutant.why
    assert mutant.check
    assert all(KEBAB.fullmatch(check) for check in mutant.check)


@every_mutant
def test_a_planted_bug_leaves_nothing_behind(mutant: Mutant) -> None:
    before = inventory()
    with mutant.applied() as patch:
        assert patch.changed
        planted = inventory()
        assert any(planted[key] is not before[key] for key in before), "nothing was planted"
    after = inventory()
    assert after.keys() == before.keys()
    assert [key for key in before if after[key] is not before[key]] == []


@every_mutant
def test_a_planted_bug_changes_what_happens(mutant: Mutant) -> None:
    assert any(
        difference(scenario, mutant, detector)
        for detector in mutant.detectors
        for scenario in likely_first(mutant)
    )


@pytest.mark.parametrize("detector", ["memberlist", "evidence"])
@pytest.mark.parametrize("scenario", GAUNTLET, ids=lambda scenario: scenario.__name__)
def test_without_a_bug_the_same_happens_again(scenario, detector) -> None:
    assert difference(scenario, None, detector) == ""


@pytest.mark.parametrize(
    "name", ["chance-comes-from-everywhere", "the-clock-on-the-wall-shows-through"]
)
def test_a_bug_of_chance_makes_a_run_that_cannot_be_repeated(name: str) -> None:
    with BY_NAME[name].applied():
        runs = {difference(old_news, None) for _ in range(5)}
    assert "" not in runs


def test_bugs_that_are_planted_together_go_one_after_the_other() -> None:
    first, second = BY_NAME["failure-is-taken-for-health"], BY_NAME["ill-for-ever"]
    original = vars(Awareness)["apply"]
    with first.applied():
        alone = vars(Awareness)["apply"]
        with pytest.raises(ZeroDivisionError), second.applied():
            1 / (vars(Awareness)["apply"] is alone)  # an error, as the second one is planted
        assert vars(Awareness)["apply"] is alone
    assert vars(Awareness)["apply"] is original


def test_a_bug_that_cannot_be_planted_whole_is_not_planted_at_all() -> None:
    original = vars(Awareness)["apply"]

    def plant(patch: Patch) -> None:
        patch.wrap(Awareness, "apply", lambda original, self, delta: None)
        patch.wrap(Awareness, "gone", lambda original, self: None)

    half = Mutant("half", "It is planted in part.", "none", "slip", ("none",), (), None, plant)
    with pytest.raises(PatchError, match="Awareness has no gone of its own"), half.applied():
        pytest.fail("the context was entered")
    assert vars(Awareness)["apply"] is original


@pytest.mark.parametrize(
    ("owner", "name", "wrapper", "text"),
    [
        (Claims, "renamed", lambda original, self: None, "no renamed of its own"),
        (Claims, "reap", lambda original, self, member: None, "takes"),
        (Claims, "reap", lambda original, self: None, "takes"),
        (Membership, "__slots__", lambda original: None, "is no function"),
        (wire, "PARTS_MAX", lambda original: None, "is no function"),
    ],
)
def test_a_patch_of_what_is_not_there_or_looks_otherwise_fails(owner, name, wrapper, text) -> None:
    with pytest.raises(PatchError, match=text):
        Patch().wrap(owner, name, wrapper)


def test_an_inherited_attribute_is_not_patched_where_it_is_only_inherited() -> None:
    class Table(Membership):
        pass

    with pytest.raises(PatchError, match="of its own"):
        Patch().wrap(Table, "get", lambda original, self, name: None)


def test_an_entry_that_a_table_lacks_is_not_patched() -> None:
    with pytest.raises(PatchError, match="no 99"):
        Patch().item({1: 2}, 99, 3)


def test_properties_and_static_methods_are_patched_as_what_they_are() -> None:
    patch = Patch()
    patch.wrap(Suspicion, "confirmations", lambda original, self: 7 + original(self))
    patch.wrap(Claims, "_jump_max", lambda original, entry, origin: 5)
    try:
        assert Suspicion(1, 0.0, 1.0, 2.0, 2, ["a"]).confirmations == 7
        assert isinstance(vars(Claims)["_jump_max"], staticmethod)
        assert Claims._jump_max(None, None) == 5
        assert patch.calls == 2
    finally:
        patch.undo()
    assert Suspicion(1, 0.0, 1.0, 2.0, 2, ["a"]).confirmations == 0
