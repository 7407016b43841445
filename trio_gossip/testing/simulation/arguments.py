"""What may be handed to a simulation. Whatever else is refused at once, in one clear line: deep in
a run it would raise something that nobody understands, or nothing at all.
"""

from __future__ import annotations

import math
import reprlib
from typing import TYPE_CHECKING, Final

from trio_gossip.addresses import Address
from trio_gossip.failures import DialFailure
from trio_gossip.services.key_store import KEY_ID_BYTES
from trio_gossip.services.key_wire import KeyOperation
from trio_gossip.services.keys import KeyCommand

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CALLS: Final[Mapping[str, tuple[type, ...]]] = {
    "broadcast": (bytes,),
    "send": (str, bytes),
    "update_meta": (bytes,),
    "remember_seeds": (list,),
    "abandon": (int,),
    "handle_timeout": (),
    "receive_packet": (bytes, Address),
    "packet_refused": (Address,),
    "exchange_accepted": (int, Address),
    "exchange_opened": (int,),
    "exchange_received": (int, bytes),
    "exchange_delivered": (int,),
    "exchange_writable": (int,),
    "exchange_failed": (int, DialFailure),
}
"""Calls of an engine that are done at once, with the types of their arguments."""

COMMANDS: Final[Mapping[str, tuple[type, ...]]] = {
    "join": (Address,),
    "leave": (),
    "ping": (str,),
    "send_reliable": (str, bytes),
}
"""Calls of an engine that complete later."""

_OPERATIONS: Final = {operation.name.lower(): operation for operation in KeyOperation}

_SHOWN_CHARACTERS: Final = 60


def shown(value: object) -> str:
    """A value in a message: its ``repr`` on one line, shortened; never fails."""
    try:
        text = " ".join(reprlib.repr(value).split())
    except ValueError:  # Python refuses to write whole numbers of thousands of digits
        return "a number of very many digits"
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def is_number(value: object) -> bool:
    """True for an int or a float, also one that is not finite; a truth value is no number.

    An int beyond the range of floats is none either: nothing could be computed with it.
    """
    if type(value) is int:
        return abs(value) < 2**1023
    return isinstance(value, float)


def is_finite(value: object) -> bool:
    """True for a number that is neither infinite nor NaN."""
    return isinstance(value, (int, float)) and is_number(value) and math.isfinite(value)


def check_seconds(what: str, value: object) -> None:
    """Refuse what is no duration.

    Raises:
        ValueError: it is no finite number, or negative.
    """
    if not (isinstance(value, (int, float)) and is_finite(value) and value >= 0.0):
        raise ValueError(f"{what} must be 0 or more seconds, not {shown(value)}")


def check_rate(rate: object) -> None:
    """Refuse a rate of a clock that would stand still or run backwards; None leaves it alone.

    Raises:
        ValueError: it is no finite number above 0.
    """
    if rate is not None and not (isinstance(rate, (int, float)) and is_finite(rate) and rate > 0.0):
        raise ValueError(f"rate must be above 0, not {shown(rate)}")


def check_seed(seed: object) -> None:
    """Refuse a seed that is no whole number: its text would not be the same everywhere.

    Raises:
        TypeError: it is none.
    """
    if type(seed) is not int:
        raise TypeError(f"seed must be a whole number, not {shown(seed)}")


def check_call(
    by: str, known: Mapping[str, tuple[type, ...]], call: object, arguments: tuple[object, ...]
) -> None:
    """Refuse a call of an engine that is not in a table, or has other arguments than there.

    Args:
        by: the method that was used, for the message.
        known: :data:`CALLS` or :data:`COMMANDS`.
        call: the name of the engine's method.
        arguments: without the time and the token.

    Raises:
        ValueError: the table has no such call.
        TypeError: of the arguments.
    """
    types = known.get(call) if isinstance(call, str) else None
    if types is None:
        raise ValueError(f"{by}() knows {', '.join(known)}; not {shown(call)}")
    if len(arguments) != len(types):
        wanted = f" ({', '.join(each.__name__ for each in types)})" if types else ""
        count = f"{len(types)} argument{'' if len(types) == 1 else 's'}"
        raise TypeError(f"{call} takes {count}{wanted}, not {len(arguments)}")
    for argument, wanted_type in zip(arguments, types, strict=True):
        if not isinstance(argument, wanted_type):
            raise TypeError(f"{call} takes {wanted_type.__name__}, not {shown(argument)}")


def key_command(
    operation: object, secret: bytes, identify: Callable[[bytes], bytes], *, leaked: bool
) -> KeyCommand:
    """The command of a service for an operation on the keys of a cluster.

    Raises:
        ValueError: there is no such operation, or ``secret`` is no key. It is not in the text.
    """
    found = _OPERATIONS.get(operation) if isinstance(operation, str) else None
    if found is None:
        raise ValueError(f"keys() knows {', '.join(_OPERATIONS)}; not {shown(operation)}")
    if found is KeyOperation.LIST:
        return KeyCommand(found)
    if found is KeyOperation.INSTALL:
        identify(secret)
    elif len(secret) != KEY_ID_BYTES:
        secret = identify(secret)
    return KeyCommand(found, secret, leaked=leaked)
