"""Seeded bugs of the protocol: small mistakes that people make, planted at run time.

They test the tests: a checker that lets a planted bug pass would let a real one pass as well.

    for mutant in CATALOGUE:
        with mutant.applied():
            run(...)   # some checker must object
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs

from tests.simulation.mutants.patching import Patch

POINTS = range(1, 16)
"""The points in which this library mends memberlist, as ``docs/differences`` numbers them."""

NEEDS = {
    "aliases": "two names that claim one address",
    "broadcasts": "messages of the application to everybody",
    "corruption": "packets with wrong bytes",
    "crowd": "more than a dozen members",
    "datagram cut": "a direction on which datagrams are lost and streams work",
    "duplication": "packets that arrive twice",
    "full queue": "more broadcasts than the queue takes",
    "hostile": "forged packets or frames",
    "leave": "members that leave",
    "long broadcasts": "messages that are announced, and fetched by stream",
    "long run": "minutes after a failure: reaped rows, expired memories",
    "loss": "lost packets",
    "lost incarnation": "a restart that begins below its last incarnation",
    "meta": "changes of metadata",
    "move": "a restart at another address",
    "oversize": "messages beyond a limit",
    "partition": "groups that cannot reach each other, and can again later",
    "pause": "processes that stand still",
    "refusal": "an exchange that a peer refuses, or a veto",
    "reorder": "packets that overtake others",
    "restart": "processes that come back",
    "return": "a member that joins again after it left",
    "small": "two or three members",
    "state": "writes of versioned state",
    "stream cut": "streams that break in the middle, or hang",
    "twin": "two live processes with one name",
}
"""What must happen in a run before a bug can show, beyond members that start, join and crash."""


@attrs.frozen
class Mutant:
    """One bug.

    Attributes:
        name: unique, kebab-case.
        description: what a programmer got wrong, and what follows.
        theme: the part of the protocol: the module that plants it.
        why: where it comes from: a public source, or an ordinary slip.
        check: the checkers that should notice.
        needs: what must happen before it can show, keys of ``NEEDS``.
        point: the mended point of memberlist that it undoes, if it does.
        plant: makes the changes.
    """

    name: str
    description: str
    theme: str
    why: str
    check: tuple[str, ...]
    needs: tuple[str, ...]
    point: int | None
    plant: Callable[[Patch], None] = attrs.field(repr=False)

    @property
    def detectors(self) -> tuple[str, str]:
        """The rules with which it may show, the likelier ones first."""
        of_evidence = self.theme in ("scanning", "verdicts")
        return ("evidence", "memberlist") if of_evidence else ("memberlist", "evidence")

    @contextmanager
    def applied(self) -> Iterator[Patch]:
        """Plant the bug for as long as the context lasts. Contexts may be nested."""
        patch = Patch()
        try:
            self.plant(patch)
            yield patch
        finally:
            patch.undo()


CATALOGUE: list[Mutant] = []
"""All of them, in the order of their themes."""


def mutant(
    name: str,
    *,
    check: tuple[str, ...],
    why: str,
    needs: tuple[str, ...] = (),
    point: int | None = None,
) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    """Enter a function that plants a bug; its docstring is the bug's description."""

    def enter(plant: Callable[[Patch], None]) -> Callable[[Patch], None]:
        description = " ".join((plant.__doc__ or "").split())
        theme = plant.__module__.rpartition(".")[2]
        CATALOGUE.append(Mutant(name, description, theme, why, check, needs, point, plant))
        return plant

    return enter
