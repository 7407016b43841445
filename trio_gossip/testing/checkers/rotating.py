"""Rules of changing the keys of a sealed cluster. Plain clusters give them nothing to check."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from trio_gossip.services.key_report import KeyChangeError, KeyReport
from trio_gossip.testing.checkers.base import Checker

if TYPE_CHECKING:
    from trio_gossip.engine import Complete
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.simulation import Simulation


class KeysChanged(Checker):
    """What the report of a change of keys says of a member is true of its ring when the report is
    there; and whoever is said to have made the change has the new key after ``install``, seals
    with it after ``use``, and has the old one no more after ``remove``. Of a refused change the
    report says what was there before, so nothing has changed.

    Whoever has restarted since the change began is not judged: its former life may have answered,
    with the keys of another file, and the report waits half a minute for the last of all.

    Nor are answers compared with rings when another operator was at work in that time: each member
    is free for the next change as soon as it has made this one, or was told that it is refused,
    while the report waits for one that never answers. What was refused has not happened even then.
    That is not said of ``remove``: another operator may mean the same old key.
    """

    name: ClassVar[str] = "keys-changed"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._lives: dict[str, int] = {}
        self._ends: dict[tuple[Process, int], float] = {}
        """When each command ended."""

    def started(self, process: Process) -> None:
        self._lives[process.name] = self._lives.get(process.name, 0) + 1

    def completed(self, process: Process, complete: Complete) -> None:
        asked = process.key_tokens.get(complete.token)
        if asked is None:
            return
        self._ends[process, complete.token] = self.simulation.now
        error, report = complete.error, complete.result
        alone = not self._others_changed(process, asked)
        if isinstance(error, KeyChangeError):
            self._compare(error.report, asked, alone=alone, refused=error.refused)
        elif isinstance(report, KeyReport):
            self._compare(report, asked, alone=alone)

    def _others_changed(self, operator: Process, since: float) -> bool:
        """True when a command of another process was under way at some moment since then, or when
        what one that is gone had asked for could still arrive.
        """
        for process in (*self.simulation.graves, *self.simulation.processes.values()):
            gone_at = process.ended_at + process.config.stream_timeout
            if process is not operator and any(
                self._ends.get((process, token), gone_at) >= since for token in process.key_tokens
            ):
                return True
        return False

    def _compare(
        self, report: KeyReport, asked: float, *, alone: bool, refused: bool = False
    ) -> None:
        for name, answer in report.answers.items():
            if not answer.keys:
                continue  # it did not answer
            changed = not refused and report.operation != "list"
            if changed and answer.ok and not _is_done(report, answer.keys):
                self.wrong(f"{name} says {report.operation} is done, and has {answer.keys}")
                continue
            process = self.simulation.processes.get(name)
            if process is None or process.seal is None:
                continue
            if self._lives.get(name, 1) > 1 and process.started_at > asked:
                continue
            ring = process.seal.key_ids
            if ring == answer.keys:
                self.ok()
            elif alone:
                self.wrong(f"{name} said {answer.keys}, and has {ring}")
            elif refused and report.operation != "remove" and _is_done(report, ring):
                self.wrong(f"{name} has {ring}, though {report.operation} was refused")


def _is_done(report: KeyReport, ring: tuple[str, ...]) -> bool:
    if report.operation == "install":
        return report.key in ring
    if report.operation == "use":
        return report.key == ring[0]
    return report.key not in ring


class KeysShared(Checker):
    """When all is over and the members agree on who is there, each can open what any other seals:
    also those that were away while the keys were changed.
    """

    name: ClassVar[str] = "keys-shared"

    def finish(self) -> None:
        if not self.simulation.agree():
            return  # that is for others to say
        rings = {
            process.name: process.seal.key_ids
            for process in self.simulation.processes.values()
            if process.seal is not None
        }
        for name, ids in rings.items():
            others = [other for other, ring in rings.items() if ids[0] not in ring]
            if others:
                self.wrong(f"{name} seals with {ids[0]}, which {', '.join(others)} cannot open")
            else:
                self.ok()
