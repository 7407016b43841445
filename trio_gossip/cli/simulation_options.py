"""Values of the options of ``trio-gossip simulate``: read, and refused in words of our own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from trio_gossip.cli.problems import BadInputError, describe_os_error, visible

if TYPE_CHECKING:
    _Type = click.ParamType[Any]
else:  # generic in no version but the newest
    _Type = click.ParamType

STANDARD_OUTPUT: Final = "-"
"""Stands for standard output where a file is named."""


class WholeNumber(_Type):
    """A whole number within bounds.

    Args:
        least: the smallest that is allowed.
        most: the largest, None for any.
    """

    name = "number"

    def __init__(self, least: int, most: int | None = None) -> None:
        self.least = least
        self.most = most

    def convert(
        self, value: str | int, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:
        """Read what was written; see :meth:`click.ParamType.convert`."""
        wanted = f"from {self.least} {'on' if self.most is None else f'to {self.most}'}"
        try:
            number = int(value)
        except ValueError:
            self.fail(f"{value!r} is no whole number; write one {wanted}", param, ctx)
        if number < self.least or (self.most is not None and number > self.most):
            self.fail(f"{number} is out of range; write a whole number {wanted}", param, ctx)
        return number


class Probability(_Type):
    """A number from 0 to 1."""

    name = "probability"

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read what was written; see :meth:`click.ParamType.convert`."""
        number = _read(value)
        if number is None:
            self.fail(f"{value!r} is no number; write one from 0 to 1", param, ctx)
        if not 0.0 <= number <= 1.0:  # also refuses what is no number
            self.fail(f"{value} is no probability; write a number from 0 to 1", param, ctx)
        return number


class Seconds(_Type):
    """More than 0 seconds, and at most so many.

    Args:
        most: the largest number that is allowed.
    """

    name = "seconds"

    def __init__(self, most: float) -> None:
        self.most = most

    def convert(
        self, value: str | float, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Read what was written; see :meth:`click.ParamType.convert`."""
        number = _read(value)
        if number is None:
            self.fail(f"{value!r} is no number; write seconds, up to {self.most:g}", param, ctx)
        if not 0.0 < number <= self.most:
            self.fail(f"{value} is not more than 0 and at most {self.most:g}", param, ctx)
        return number


def _read(value: str | float) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None


def writable(_: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A file that can be written; found out now, and not after minutes of simulation.

    Raises:
        click.BadParameter: it cannot be, or the page shall go to standard output.
    """
    if value is None:
        return None
    if value == STANDARD_OUTPUT:
        if parameter.name == "html":
            raise click.BadParameter("standard output is for the report; name a file")
        return value
    path = Path(value)
    try:
        there = path.exists()
        with path.open("a"):
            pass
        if not there:
            path.unlink()
    except OSError as error:
        raise click.BadParameter(str(cannot_write(value, error))) from None
    except ValueError as error:
        raise click.BadParameter(f"cannot write {visible(value)}: {error}") from None
    return value


def cannot_write(target: str, error: OSError) -> BadInputError:
    """What is said when something cannot be written, with its name."""
    name = "standard output" if target == STANDARD_OUTPUT else visible(target)
    return BadInputError(f"cannot write {name}: {describe_os_error(error)}")
