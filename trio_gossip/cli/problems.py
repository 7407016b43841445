"""What the command line says when it cannot do what it was asked."""

from __future__ import annotations

from typing import Final

EXIT_DONE: Final = 0
EXIT_FAILED: Final = 1
EXIT_BAD_INPUT: Final = 2


class BadInputError(Exception):
    """The user asked for something that cannot work; the text is the one line to print.

    State: nothing was started, or all that was is closed again.
    """


def in_one_line(text: str) -> str:
    """Put a message on one line and spell out what a terminal would act on."""
    return visible(" ".join(text.split()))


def visible(text: str) -> str:
    r"""Spell out every unprintable character, as ``\x1b``: other members chose this text."""
    if text.isprintable():
        return text
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def describe_os_error(error: OSError) -> str:
    """The reason without its number, as it reads in the middle of a sentence."""
    reason = error.strerror or str(error)
    return in_one_line(reason[:1].lower() + reason[1:])
