"""The committed inputs of the fuzzer, all of them, in each run of the tests."""

from __future__ import annotations

import pytest

from tests.fuzz.seeds import SEEDS, seeds_of
from tests.fuzz.targets import CORPUS, INPUT_BYTES_MAX, TARGETS, corpus_of

FILES_MAX = 44
FILE_BYTES_MAX = 1024


@pytest.mark.parametrize("target", TARGETS)
def test_every_input_of_the_corpus_does_no_harm(target: str) -> None:
    inputs = corpus_of(target)
    assert inputs, f"there is no corpus for {target}; see tests/fuzz/seeds.py"
    for path in inputs:
        try:
            TARGETS[target](path.read_bytes())
        except BaseException as error:
            error.add_note(f"the input is {path}")
            raise


@pytest.mark.parametrize("target", TARGETS)
def test_the_corpus_has_what_the_messages_of_today_look_like(target: str) -> None:
    """Run ``python -m tests.fuzz.seeds`` after a change of the wire."""
    for name, data in seeds_of(target).items():
        assert (CORPUS / target / name).read_bytes() == data, name


def test_the_corpus_stays_small() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(TARGETS) == set(SEEDS)
    for target in TARGETS:
        inputs = corpus_of(target)
        assert len(inputs) <= FILES_MAX
        for path in inputs:
            assert path.stat().st_size <= FILE_BYTES_MAX < INPUT_BYTES_MAX, path


@pytest.mark.parametrize("target", TARGETS)
def test_an_input_does_the_same_each_time(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A finding that cannot be replayed is worth little: no target asks the system for chance."""

    def refuse(_: int) -> bytes:
        raise AssertionError("random bytes of the operating system")

    monkeypatch.setattr("os.urandom", refuse)
    for path in corpus_of(target)[:5]:
        TARGETS[target](path.read_bytes())
