"""The shape of a scenario in a file: every value is looked at before anything is made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from trio_gossip.errors import GossipError
from trio_gossip.testing.scenarios.kind import Step
from trio_gossip.testing.simulation.arguments import is_finite, is_number, shown
from trio_gossip.testing.simulation.links import LinkFaults

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.testing.scenarios.scenario import Scenario

FORMAT: Final = 1
"""Of the files; others are refused."""


class ScenarioError(GossipError, ValueError):
    """A scenario that cannot be played; the message is one line and names the step.

    State: no scenario was made.
    """


def read_values(text: str | bytes) -> dict[str, Any]:
    """The arguments of a scenario, from JSON.

    Raises:
        ScenarioError: it is no JSON, or something in it has another type than it must.
    """
    try:
        document: object = json.loads(text, object_pairs_hook=_without_twice)
    except ScenarioError:
        raise
    except (ValueError, RecursionError) as error:
        raise ScenarioError(f"not JSON: {error}") from None
    if not isinstance(document, dict) or "scenario" not in document:
        raise ScenarioError('not a scenario: it has no "scenario"')
    values: dict[str, Any] = dict(cast("dict[str, Any]", document))
    version = values.pop("scenario")
    if type(version) is not int or version != FORMAT:
        raise ScenarioError(f"a scenario of format {shown(version)}; this version reads {FORMAT}")
    if "seed" not in values:
        raise ScenarioError("it has no seed")
    for name, value in values.items():
        reader = _READERS.get(name)
        if reader is not None:
            values[name] = reader(name, value)
    return values


def _without_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of a file; which of two values was meant, nobody can know."""
    values = dict(pairs)
    if len(values) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for at, key in enumerate(keys) if key in keys[:at])
        raise ScenarioError(f"{shown(twice)} comes twice in one object")
    return values


def _number(name: str, value: object) -> float:
    if not is_finite(value):
        raise ScenarioError(f"{name} must be a number, not {shown(value)}")
    return cast("float", value)


def _whole(name: str, value: object) -> int:
    if type(value) is not int:
        raise ScenarioError(f"{name} must be a whole number, not {shown(value)}")
    return value


def _flag(name: str, value: object) -> bool:
    if type(value) is not bool:
        raise ScenarioError(f"{name} must be true or false, not {shown(value)}")
    return value


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ScenarioError(f"{name} must be text, not {shown(value)}")
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a pair of surrogates: it could never be printed
        raise ScenarioError(f"{name} holds what is no character: {shown(value)}") from None
    return value


def _object(name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ScenarioError(f"{name} must be an object, not {shown(value)}")
    return cast("dict[str, Any]", value)


def _list(name: str, value: object) -> list[object]:
    if not isinstance(value, list):
        raise ScenarioError(f"{name} must be a list, not {shown(value)}")
    return cast("list[object]", value)


def _links(name: str, value: object) -> LinkFaults:
    values = _object(name, value)
    known = attrs.fields_dict(LinkFaults)
    for key, item in values.items():
        if key not in known:
            raise ScenarioError(f"{name}: nobody knows what {shown(key)} means")
        if key == "latency":
            pair = _list(f"{name}: latency", item)
            if len(pair) != 2:
                raise ScenarioError(f"{name}: latency must be two numbers, not {shown(item)}")
            values[key] = tuple(_number(f"{name}: latency", each) for each in pair)
        elif key == "mtu":
            _whole(f"{name}: {key}", item)
        else:
            _number(f"{name}: {key}", item)
    try:
        return LinkFaults(**values)
    except ValueError as error:
        raise ScenarioError(f"{name}: {' '.join(map(str, error.args))}") from None


def _names(name: str, value: object) -> tuple[str, ...]:
    return tuple(_text(name, each) for each in _list(name, value))


def _steps(name: str, value: object) -> tuple[Step, ...]:
    return tuple(_step(number, item) for number, item in enumerate(_list(name, value), 1))


def _step(number: int, item: object) -> Step:
    where = f"step {number}"
    values = _object(where, item)
    for key, value in values.items():
        reader = _STEP_READERS.get(key)
        if reader is None:
            raise ScenarioError(f"{where}: nobody knows what {shown(key)} means")
        values[key] = reader(f"{where}: {key}", value)
    for key in ("at", "kind"):
        if key not in values:
            raise ScenarioError(f"{where}: it has no {key!r}")
    return Step(**values)


def check_types(scenario: Scenario) -> None:
    """Refuse a scenario that was made in Python with values of other types than it must have.

    Raises:
        ScenarioError: names the value, or the step.
    """
    _whole("seed", scenario.seed)
    for name in ("seconds", "calm"):
        _of_numbers(name, _value(scenario, name))
    _flag("sealed", scenario.sealed)
    _text("profile", scenario.profile)
    _text("about", scenario.about)
    config = _value(scenario, "config")
    if not isinstance(config, Mapping):
        raise ScenarioError(f"config must be a mapping, not {shown(config)}")
    links = _value(scenario, "links")
    if not isinstance(links, LinkFaults):
        raise ScenarioError(f"links must be LinkFaults, not {shown(links)}")
    for number, step in enumerate(_tuple("steps", scenario.steps), 1):
        where = f"step {number}"
        if not isinstance(step, Step):
            raise ScenarioError(f"{where} must be a Step, not {shown(step)}")
        _text(f"{where}: kind", step.kind)
        for name in ("at", "amount", "seconds"):
            _of_numbers(f"{where}: {name}", getattr(step, name))
        for each in _tuple(f"{where}: names", step.names):
            _text(f"{where}: names", each)


def _value(scenario: Scenario, name: str) -> object:
    """Whatever was given, beside what the type says."""
    return getattr(scenario, name)


def _of_numbers(name: str, value: object) -> None:
    """Whether it is also within its range, others ask."""
    if not is_number(value):
        raise ScenarioError(f"{name} must be a number, not {shown(value)}")


def _tuple(name: str, value: object) -> tuple[object, ...]:
    if not isinstance(value, tuple):
        raise ScenarioError(f"{name} must be a tuple, not {shown(value)}")
    return cast("tuple[object, ...]", value)


_STEP_READERS: Final[dict[str, Callable[[str, object], Any]]] = {
    "at": _number,
    "kind": _text,
    "names": _names,
    "amount": _number,
    "seconds": _number,
}

_READERS: Final[dict[str, Callable[[str, object], Any]]] = {
    "seed": _whole,
    "nodes": _whole,
    "seconds": _number,
    "calm": _number,
    "profile": _text,
    "config": _object,
    "links": _links,
    "sealed": _flag,
    "steps": _steps,
    "about": _text,
}
