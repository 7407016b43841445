"""Has trio run ready tasks in an order that repeats itself: it shuffles them otherwise.

Gossip is a matter of chance, so a test can name a time or an order only for a run that is always
the same. trio has no public name for this. It has a hook, two names in a private module, that it
made for Hypothesis. Everything that knows of them is in this file.
"""

from __future__ import annotations

import random
import warnings
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Generator

_MODULE: Final = "trio._core._run"
_FLAG: Final = "_ALLOW_DETERMINISTIC_SCHEDULING"
_GENERATOR: Final = "_r"


class SchedulingWarning(UserWarning):
    """This trio lacks the hook: tasks that are ready together run in an order of chance."""


def make_scheduling_repeatable(seed: int) -> bool:
    """Let ``seed`` decide from now on in which order ready tasks run; for the whole process.

    May be called inside a run, too: what follows repeats itself then.

    Returns:
        False when this trio lacks the hook; nothing has changed then.
    """
    module = _hook()
    if module is None:
        return False
    setattr(module, _FLAG, True)
    getattr(module, _GENERATOR).seed(seed)
    return True


@contextmanager
def repeatable_scheduling(seed: int) -> Generator[bool, None, None]:
    """Do so for the length of a block, and then leave trio as it was found.

    Gives what :func:`make_scheduling_repeatable` returns. When that is False, a
    :class:`SchedulingWarning` says so in one line.
    """
    module = _hook()
    if module is None:
        text = (
            "this trio has no hook for repeatable scheduling: networks and members still follow"
            " their seed, but tasks that are ready together run in an order of chance"
        )
        warnings.warn(text, SchedulingWarning, stacklevel=3)
        yield False
        return
    generator = getattr(module, _GENERATOR)
    flag, state = getattr(module, _FLAG), generator.getstate()
    try:
        yield make_scheduling_repeatable(seed)
    finally:
        setattr(module, _FLAG, flag)
        generator.setstate(state)


def _hook() -> Any:
    """Trio's module with both names as we know them, or None."""
    try:
        module = import_module(_MODULE)
    except ImportError:
        return None
    is_there = isinstance(getattr(module, _FLAG, None), bool) and isinstance(
        getattr(module, _GENERATOR, None), random.Random
    )
    return module if is_there else None
