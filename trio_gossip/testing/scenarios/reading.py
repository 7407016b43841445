"""The shape of a scenario in a file: every value is looked at before anything is made of it."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from trio_gossip.errors import GossipError
from trio_gossip.testing.scenarios.kind import Step
from trio_gossip.testing.simulation.links import LinkFaults

if TYPE_CHECKING:
    from collections.abc import Callable

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
        document: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ScenarioError(f"not JSON: {error}") from None
    if not isinstance(document, dict) or "scenario" not in document:
        raise ScenarioError('not a scenario: it has no "scenario"')
    values: dict[str, Any] = dict(cast("dict[str, Any]", document))
    version = values.pop("scenario")
    if version != FORMAT:
        raise ScenarioError(f"a scenario of format {version!r}; this version reads {FORMAT}")
    if "seed" not in values:
        raise ScenarioError("it has no seed")
    for name, value in values.items():
        reader = _READERS.get(name)
        if reader is not None:
            values[name] = reader(name, value)
    return values


def _number(name: str, value: object) -> float:
    if type(value) not in (int, float) or not math.isfinite(cast("float", value)):
        raise ScenarioError(f"{name} must be a number, not {value!r}")
    return cast("float", value)


def _whole(name: str, value: object) -> int:
    if type(value) is not int:
        raise ScenarioError(f"{name} must be a whole number, not {value!r}")
    return value


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ScenarioError(f"{name} must be text, not {value!r}")
    return value


def _object(name: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ScenarioError(f"{name} must be an object, not {value!r}")
    return cast("dict[str, Any]", value)


def _list(name: str, value: object) -> list[object]:
    if not isinstance(value, list):
        raise ScenarioError(f"{name} must be a list, not {value!r}")
    return cast("list[object]", value)


def _config(name: str, value: object) -> dict[str, Any]:
    settings = _object(name, value)
    for key, setting in settings.items():
        if type(setting) is not bool:
            _number(f"{name}: {key}", setting)
    return settings


def _links(name: str, value: object) -> LinkFaults:
    values = _object(name, value)
    known = attrs.fields_dict(LinkFaults)
    for key, item in values.items():
        if key not in known:
            raise ScenarioError(f"{name}: nobody knows what {key!r} means")
        if key == "latency":
            pair = _list(f"{name}: latency", item)
            if len(pair) != 2:
                raise ScenarioError(f"{name}: latency must be two numbers, not {item!r}")
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
            raise ScenarioError(f"{where}: nobody knows what {key!r} means")
        values[key] = reader(f"{where}: {key}", value)
    for key in ("at", "kind"):
        if key not in values:
            raise ScenarioError(f"{where}: it has no {key!r}")
    return Step(**values)


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
    "config": _config,
    "links": _links,
    "steps": _steps,
    "about": _text,
}
