"""Hypothesis over the fuzzer's targets: any bytes, any steps, and good inputs gone wrong."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.steps import STEPS_MAX, Entropy, read_steps, step
from tests.fuzz.targets import TARGETS, corpus_of

SLOW = settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
STEPS = st.builds(step, st.integers(0, 255), st.binary(max_size=60))


def wounded(target: str) -> st.SearchStrategy[bytes]:
    """Inputs of the corpus with some bytes replaced, and something put in or cut out."""
    inputs = [path.read_bytes() for path in corpus_of(target)]
    wounds = st.lists(st.tuples(st.integers(0, 1023), st.integers(0, 6), st.binary(max_size=6)))
    return st.builds(_wound, st.sampled_from(inputs), wounds)


def _wound(data: bytes, wounds: list[tuple[int, int, bytes]]) -> bytes:
    for at, gone, new in wounds:
        start = at % (len(data) + 1)
        data = data[:start] + new + data[start + gone :]
    return data


@pytest.mark.parametrize("target", TARGETS)
@SLOW
@given(st.data())
def test_a_good_input_gone_wrong_does_no_harm(target: str, data: st.DataObject) -> None:
    TARGETS[target](data.draw(wounded(target)))


@pytest.mark.parametrize("target", TARGETS)
@SLOW
@given(st.binary(max_size=1) | st.binary(max_size=400), st.lists(STEPS, max_size=8))
def test_any_bytes_and_any_steps_do_no_harm(target: str, first: bytes, steps: list[bytes]) -> None:
    TARGETS[target](first + b"".join(steps))


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=300)), max_size=STEPS_MAX))
def test_steps_are_read_as_they_were_written(steps: list[tuple[int, bytes]]) -> None:
    assert list(read_steps(b"".join(step(op, chunk) for op, chunk in steps))) == steps


def test_a_length_beyond_the_end_means_the_rest() -> None:
    assert list(read_steps(b"\x07\xff\xffabc")) == [(7, b"abc")]
    assert list(read_steps(b"\x07\xff")) == [(7, b"")]
    assert len(list(read_steps(b"\0" * 3000))) == STEPS_MAX


def test_entropy_never_repeats_itself_and_is_the_same_in_each_run() -> None:
    one, two = Entropy(1), Entropy(1)
    drawn = [one(8) for _ in range(100)]
    assert drawn == [two(8) for _ in range(100)]
    assert len(set(drawn)) == 100
    assert len(one(16)) == 16
    assert len(one(12)) == 12
