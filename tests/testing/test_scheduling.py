"""trio's order of ready tasks: repeated by a seed, restored after, and told when it cannot be."""

from __future__ import annotations

import random
import types
import warnings

import pytest
import trio

from trio_gossip.testing import (
    SchedulingWarning,
    make_scheduling_repeatable,
    repeatable_scheduling,
    scheduling,
)


def order() -> list[int]:
    """The order in which tasks that are all ready take their turns."""
    seen: list[int] = []

    async def turn(number: int) -> None:
        for _ in range(3):
            await trio.lowlevel.checkpoint()
            seen.append(number)

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            for number in range(8):
                nursery.start_soon(turn, number)

    trio.run(main)
    return seen


def test_the_same_seed_gives_the_same_order_and_another_one_another() -> None:
    orders = []
    for seed in (1, 1, 2):
        with repeatable_scheduling(seed) as is_repeatable:
            assert is_repeatable
            orders.append(order())
    assert orders[0] == orders[1] != orders[2]


@pytest.mark.parametrize("flag", [True, False])
def test_trio_is_left_as_it_was_found(monkeypatch: pytest.MonkeyPatch, flag: bool) -> None:
    module = scheduling._hook()
    monkeypatch.setattr(module, "_ALLOW_DETERMINISTIC_SCHEDULING", flag)
    state = module._r.getstate()

    def fail() -> None:
        with repeatable_scheduling(1):
            assert module._ALLOW_DETERMINISTIC_SCHEDULING
            order()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert module._ALLOW_DETERMINISTIC_SCHEDULING is flag
    assert module._r.getstate() == state


def test_without_a_block_it_stays() -> None:
    with repeatable_scheduling(0):
        assert make_scheduling_repeatable(5)
        first = order()
        assert make_scheduling_repeatable(5)
        assert order() == first


@pytest.mark.parametrize(
    "module",
    [
        types.SimpleNamespace(),
        types.SimpleNamespace(_ALLOW_DETERMINISTIC_SCHEDULING=False),
        types.SimpleNamespace(_ALLOW_DETERMINISTIC_SCHEDULING=False, _r=None),
        types.SimpleNamespace(_ALLOW_DETERMINISTIC_SCHEDULING=None, _r=random.Random(1)),
        None,
    ],
)
def test_a_trio_without_the_hook_is_told_in_one_line_and_left_alone(
    monkeypatch: pytest.MonkeyPatch, module: types.SimpleNamespace | None
) -> None:
    def imported(name: str) -> types.SimpleNamespace:
        if module is None:
            raise ImportError(name)
        return module

    before = None if module is None else dict(vars(module))
    monkeypatch.setattr(scheduling, "import_module", imported)
    assert not make_scheduling_repeatable(1)
    with (
        pytest.warns(SchedulingWarning, match="no hook for repeatable scheduling") as caught,
        repeatable_scheduling(1) as is_repeatable,
    ):
        assert not is_repeatable
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)
    assert module is None or vars(module) == before


def test_with_the_hook_nothing_is_said() -> None:
    with warnings.catch_warnings(record=True) as caught, repeatable_scheduling(1):
        pass
    assert not caught
