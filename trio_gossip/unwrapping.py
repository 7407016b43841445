"""Nurseries wrap every error in a group; people who wrote one ``try`` expect the error."""

from __future__ import annotations

from typing import NoReturn

import trio


def raise_unwrapped(group: BaseExceptionGroup[BaseException]) -> NoReturn:
    """Raise the one error of a nursery's group as itself, or the group when it holds more.

    Siblings that were merely cancelled do not count. Only one level is taken off: an error that
    is a group itself (a ``JoinError``) arrives whole.
    """
    errors = [error for error in group.exceptions if not isinstance(error, trio.Cancelled)]
    if len(errors) > 1:
        raise group
    error = errors[0] if errors else group.exceptions[0]
    context = error.__context__
    try:
        raise error
    finally:
        error.__context__ = context
        del error, context
