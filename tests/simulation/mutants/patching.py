"""Replaces attributes of the library while a mutant is planted, and puts every one back.

A catalogue of bugs rots silently when the code that it changes moves on: a patch of a method that
nobody calls any more is no bug. So everything here fails loudly: the attribute must be there, on
that very class or module, and a wrapper must take the parameters that the original takes.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

_ABSENT = object()


class PatchError(LookupError):
    """The catalogue is out of date: what a mutant changes is not there or looks otherwise."""


class Patch:
    """The changes of one planted mutant.

    Attributes:
        calls: how often the functions that were wrapped have been called.
        changed: what was replaced: the owners with the names or keys.
    """

    def __init__(self) -> None:
        self.calls = 0
        self.changed: list[tuple[object, object]] = []
        self._undo: list[Callable[[], None]] = []

    def wrap(self, owner: type | ModuleType, name: str, wrapper: Callable[..., Any]) -> None:
        """Have ``wrapper(original, ...)`` called in place of a method, function or property.

        Raises:
            PatchError: there is no such function, or it takes other parameters than ``wrapper``.
        """
        raw = self._raw(owner, name)
        original = raw
        if isinstance(raw, property):
            original = raw.fget
        elif isinstance(raw, staticmethod | classmethod):
            original = raw.__func__
        if not inspect.isfunction(original):
            raise PatchError(f"{_of(owner)}.{name} is no function")
        _must_match(f"{_of(owner)}.{name}", original, wrapper)

        @functools.wraps(original)
        def counted(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            return wrapper(original, *args, **kwargs)

        planted: Any = counted
        if isinstance(raw, property):
            planted = property(counted)
        elif isinstance(raw, staticmethod | classmethod):
            planted = type(raw)(counted)
        self._set(owner, name, raw, planted)

    def value(self, owner: type | ModuleType, name: str, value: object) -> None:
        """Replace a constant, where it is used: ``from x import LIMIT`` makes a second one.

        Raises:
            PatchError: there is none of that name.
        """
        self._set(owner, name, self._raw(owner, name), value)

    def item(self, table: dict[Any, Any], key: object, value: object) -> None:
        """Replace an entry of a dispatch table.

        Raises:
            PatchError: the table has no such key.
        """
        if key not in table:
            raise PatchError(f"no {key!r} in the table")
        before = table[key]
        self._undo.append(lambda: table.__setitem__(key, before))
        self.changed.append((table, key))
        table[key] = value

    def undo(self) -> None:
        """Put everything back, last change first."""
        while self._undo:
            self._undo.pop()()

    @staticmethod
    def _raw(owner: type | ModuleType, name: str) -> Any:
        """The attribute as it is stored: an inherited one would be restored in the wrong place."""
        found = vars(owner).get(name, _ABSENT)
        if found is _ABSENT:
            raise PatchError(f"{_of(owner)} has no {name} of its own")
        return found

    def _set(self, owner: type | ModuleType, name: str, before: object, after: object) -> None:
        self._undo.append(lambda: setattr(owner, name, before))
        self.changed.append((owner, name))
        setattr(owner, name, after)


def _of(owner: type | ModuleType) -> str:
    return owner.__name__ if isinstance(owner, ModuleType) else owner.__qualname__


def _must_match(what: str, original: Callable[..., Any], wrapper: Callable[..., Any]) -> None:
    """Raise PatchError unless ``wrapper`` takes the original and then the original's parameters.

    A wrapper that ends with ``*args, **kwargs`` says that it does not look at the rest.
    """
    takes = list(inspect.signature(wrapper).parameters.values())[1:]
    given = list(inspect.signature(original).parameters.values())
    open_ended = any(each.kind is each.VAR_KEYWORD for each in takes)
    named = [each.name for each in takes]
    wanted = [each.name for each in given]
    if open_ended:
        named = named[:-2]
        wanted = wanted[: len(named)]
    if named != wanted:
        raise PatchError(f"{what} takes {wanted}, the wrapper {named}")
