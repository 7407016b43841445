"""What a test gives to the network, checked at once: a slip gets one line that says what is wanted.

The network below checks ranges, but with a wrong *kind* of value it would fail where nobody
finds it: in a comparison, or when the first packet is sent.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, cast

import attrs

from trio_gossip.addresses import parse_address
from trio_gossip.config import Config
from trio_gossip_transports.links import Faults

if TYPE_CHECKING:
    from collections.abc import Mapping

SETTINGS: Final = tuple(field.name for field in attrs.fields(Faults))
"""What can be set of a link."""

_WANTED: Final = {
    "latency": "seconds, or a tuple (low, high) of them",
    "loss": "from 0 to 1",
    "duplicate": "from 0 to 1",
    "reorder": "from 0 to 1",
    "hold": "seconds, 0 or more",
}

_GIVEN: Final = tuple(field.name for field in attrs.fields(Config) if field.name != "name")
"""What can be changed of a member; its name is given otherwise."""


def checked_settings(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a link, as they are. Ranges are for the network to check.

    Raises:
        TypeError: there is no such setting, or its value is no number.
    """
    for name, value in settings.items():
        if name not in SETTINGS:
            raise TypeError(f"{name!r} is no setting of a link; those are {', '.join(SETTINGS)}")
        parts: tuple[object, ...] = (value,)
        if name == "latency" and isinstance(value, tuple):
            parts = cast("tuple[object, ...]", value)
            if len(parts) != 2:
                parts = ()
        if not parts or not all(isinstance(part, int | float) for part in parts):
            raise TypeError(f"{name} must be {_WANTED[name]}, not {value!r}")
    return settings


def check_seed(seed: object) -> None:
    """A seed has to be a number, so that ``--gossip-seed`` can name it.

    Raises:
        TypeError: it is none.
    """
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise TypeError(f"the seed of a network is a whole number, not {seed!r}")


def check_changes(changes: Mapping[str, object]) -> None:
    """Changes of a member's configuration have to name settings.

    Raises:
        TypeError: there is no such setting.
    """
    for name in changes:
        if name not in _GIVEN:
            near = difflib.get_close_matches(name, _GIVEN, 1)
            hint = f"; did you mean {near[0]!r}?" if near else "; trio_gossip.Config has them all"
            raise TypeError(f"{name!r} is no setting of a member{hint}")


def check_names(names: tuple[object, ...]) -> None:
    """Names of members: at least one, no two alike, each one a host.

    Raises:
        TypeError: a list was given in place of its names.
        ValueError: they are not such names.
    """
    for name in names:
        if isinstance(name, Iterable) and not isinstance(name, str | bytes):
            kind = type(cast("object", name)).__name__
            raise TypeError(f'pass the names one by one, clusters("a", "b"), and not as a {kind}')
    if not names or len(names) != len(set(names)):
        told = ", ".join(map(str, names)) or "none"
        raise ValueError(f"one name for each member is wanted, not {told}")
    for name in names:
        check_name(name)


def check_name(name: object) -> None:
    """A name has to serve as a host.

    Raises:
        ValueError: it cannot be written as an address.
    """
    try:
        is_host = isinstance(name, str) and parse_address(f"{name}:1").host == name
    except ValueError:
        is_host = False
    if not is_host:
        raise ValueError(
            f"a member of this network lives on a host of its name: no blank or colon, not {name!r}"
        )
