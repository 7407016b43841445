"""What a call of ``cluster.keys`` returns or raises. Ids of keys only, never a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from trio_gossip.errors import GossipError

NAMED_MAX: Final = 5
"""Members that an error names; the report has them all."""


@attrs.frozen
class KeyAnswer:
    """What one member said.

    Attributes:
        ok: it did as asked, or had nothing against it.
        error: why not, in one line; empty when it is ok.
        keys: ids of its keys as hexadecimal, the primary first; empty when it did not answer.
    """

    ok: bool
    error: str = ""
    keys: tuple[str, ...] = ()

    @property
    def primary(self) -> str:
        """The id of the key that it seals with; empty when it did not answer."""
        return self.keys[0] if self.keys else ""


@attrs.frozen
class KeyReport:
    """The answers of all members that were active.

    Attributes:
        operation: ``"list"``, ``"install"``, ``"use"`` or ``"remove"``.
        key: the id of the key in question as hexadecimal; empty for ``"list"``.
        answers: by name of the member, in order of the names.
    """

    operation: str
    key: str
    answers: Mapping[str, KeyAnswer]

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the members that did not answer, or not as wished."""
        return tuple(name for name, answer in self.answers.items() if not answer.ok)


class KeyChangeError(GossipError):
    """A change of the cluster's keys that was refused, or that not every member has made.

    State: if ``refused``, no member has changed its keys. Otherwise those that are not in
    ``report.failed`` have: repeat the same call to complete it. Nobody is locked out meanwhile.

    Attributes:
        report: what each member said.
        refused: True when nothing was changed.
    """

    def __init__(self, report: KeyReport, *, refused: bool) -> None:
        self.report = report
        self.refused = refused
        super().__init__(_refused(report) if refused else _incomplete(report))

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (self.report, self.refused)


def _restore(report: KeyReport, refused: bool) -> KeyChangeError:
    return KeyChangeError(report, refused=refused)


def _refused(report: KeyReport) -> str:
    return f"{_what(report)} refused, nothing was changed: {_reasons(report)}"


def _incomplete(report: KeyReport) -> str:
    everybody, failed = len(report.answers), len(report.failed)
    return (
        f"{_what(report)} done at {everybody - failed} of {everybody} members,"
        f" but not at all: {_reasons(report)}; repeat it to complete it"
    )


def _what(report: KeyReport) -> str:
    return f"{report.operation} of key {report.key}"


def _reasons(report: KeyReport) -> str:
    failed = report.failed
    named = [f"{name}: {report.answers[name].error}" for name in failed[:NAMED_MAX]]
    if len(failed) > NAMED_MAX:
        named.append(f"and {len(failed) - NAMED_MAX} more")
    return "; ".join(named)
