"""Rules of changing the keys of a sealed cluster. Plain clusters give them nothing to check."""
# ruff: noqa: D102 - the hooks are described in Observer and Checker

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from trio_gossip.services.key_report import KeyChangeError, KeyReport
from trio_gossip.testing.checkers.base import Checker

if TYPE_CHECKING:
    from trio_gossip.engine import Complete
    from trio_gossip.services.key_report import KeyAnswer
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
    """

    name: ClassVar[str] = "keys-changed"

    def __init__(self, simulation: Simulation, findings: Findings) -> None:
        super().__init__(simulation, findings)
        self._lives: dict[str, int] = {}

    def started(self, process: Process) -> None:
        self._lives[process.name] = self._lives.get(process.name, 0) + 1

    def completed(self, process: Process, complete: Complete) -> None:
        error, report = complete.error, complete.result
        if isinstance(error, KeyChangeError):
            asked = process.key_tokens[complete.token]
            self._compare(error.report, asked, changed=not error.refused)
        elif isinstance(report, KeyReport):
            asked = process.key_tokens[complete.token]
            self._compare(report, asked, changed=report.operation != "list")

    def _compare(self, report: KeyReport, asked: float, *, changed: bool) -> None:
        for name, answer in report.answers.items():
            if not answer.keys:
                continue  # it did not answer
            if changed and answer.ok and not _is_done(report, answer):
                self.wrong(f"{name} says {report.operation} is done, and has {answer.keys}")
                continue
            process = self.simulation.processes.get(name)
            if process is None or process.seal is None:
                continue
            if self._lives.get(name, 1) > 1 and process.started_at > asked:
                continue
            if process.seal.key_ids != answer.keys:
                self.wrong(f"{name} said {answer.keys}, and has {process.seal.key_ids}")
            else:
                self.ok()


def _is_done(report: KeyReport, answer: KeyAnswer) -> bool:
    if report.operation == "install":
        return report.key in answer.keys
    if report.operation == "use":
        return report.key == answer.primary
    return report.key not in answer.keys


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
