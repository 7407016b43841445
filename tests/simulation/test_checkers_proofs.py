"""How checkers are proved: the engine is broken in the way for which each is there."""

from __future__ import annotations

import contextlib
import importlib
from pathlib import Path

import pytest

from tests.simulation.test_checkers import Story, ask_as_a_stranger, ask_misled
from trio_gossip.testing.checkers.catalogue import ALL
from trio_gossip.testing.checkers.counting import EndlessTurnsError

BY_NAME = {checker.name: checker for checker in ALL}

NOT_OURS = (EndlessTurnsError, AssertionError, KeyError, RuntimeError)
"""A broken engine may break off the story, once it has been noticed."""


def breaking():
    """A decorator for functions that break the engine, and the list of cases that it fills.

    ``@breaks("some-rule")`` says which checker has to notice. The function is given pytest's
    ``monkeypatch``, and returns the chapters of the story that it takes.
    """
    cases = []

    def breaks(name):
        def register(function):
            cases.append(pytest.param(name, function, id=f"{name}-{function.__name__}"))
            return function

        return register

    return breaks, cases


def nothing(*arguments, **keywords):
    """A method that was forgotten."""


def patch(monkeypatch, owner, name, make):
    monkeypatch.setattr(owner, name, make(getattr(owner, name)))


def after(extra):
    """The original method, and then something that should not be there."""

    def make(original):
        def method(self, *arguments, **keywords):
            result = original(self, *arguments, **keywords)
            extra(self, *arguments)
            return result

        return method

    return make


def notices(name, break_it, monkeypatch, detector="memberlist", profile="lan"):
    """Play the story on a broken engine under the eyes of one checker; how often it objected."""
    chapters = break_it(monkeypatch)
    story = Story(BY_NAME[name], detector=detector, profile=profile)
    parts = {
        "wait": lambda: story.settle(300.0),
        "rest": lambda: story.settle(30.0),
        "time": lambda: story.simulation.run(60.0),
        "misled": lambda: ask_misled(story.simulation, "a", "b", "c"),
        "stranger": lambda: ask_as_a_stranger(story.simulation, "a"),
    }
    with contextlib.suppress(*NOT_OURS):
        for chapter in chapters.split():
            parts.get(chapter, getattr(story, chapter, None))()
    assert story.findings.checked[name] >= story.findings.counts[name]
    return story.findings.counts[name]


def test_every_checker_is_proved():
    files = sorted(Path(__file__).parent.glob("test_checkers_*.py"))
    modules = [importlib.import_module(f"tests.simulation.{file.stem}") for file in files]
    cases = [case for module in modules for case in getattr(module, "CASES", ())]
    proved = {case.values[0] for case in cases}
    proved |= {name for module in modules for name in getattr(module, "PROVED", ())}
    assert proved == set(BY_NAME)


@pytest.mark.parametrize("detector", ["memberlist", "evidence"])
@pytest.mark.parametrize("name", BY_NAME)
def test_the_same_story_on_a_sound_engine_is_no_reason_to_object(name, detector, monkeypatch):
    assert not notices(name, lambda monkeypatch: "form work", monkeypatch, detector)
