"""``trio-gossip simulate --replay``: a scenario from a file, played and reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from trio_gossip.cli.simulation_report import Told, check_lines, check_record, rows
from trio_gossip.testing.checkers.catalogue import ALL
from trio_gossip.testing.scenarios.player import play

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    from trio_gossip.testing.scenarios.player import Report
    from trio_gossip.testing.scenarios.scenario import Scenario
    from trio_gossip.testing.trace import Trace

NOTHING: Final = "nothing"


def replay_scenario(scenario: Scenario, records: Trace, *, check: bool) -> Told:
    """Play a scenario from beginning to end.

    Args:
        scenario: what happens.
        records: takes all of it.
        check: let every rule be checked, and not only that all agree in the end.
    """
    report = play(scenario, checkers=ALL if check else (), trace=records)
    return Told(
        passed=not report.violations,
        facts=[*_facts(scenario), ("digest", report.digest)],
        lines=list(_lines(scenario, report, checked=check)),
        record=_record(scenario, report, checked=check),
        seconds=None,
        findings=report.findings,
        about=" ".join(scenario.about.split()),
    )


def _facts(scenario: Scenario) -> list[tuple[str, str]]:
    return [
        ("nodes", str(scenario.nodes)),
        ("steps", str(len(scenario.steps))),
        ("seed", str(scenario.seed)),
        ("profile", scenario.profile),
    ]


def _lines(scenario: Scenario, report: Report, *, checked: bool) -> Iterator[str]:
    yield ", ".join(f"{name} {value}" for name, value in _facts(scenario))
    if scenario.about:
        yield " ".join(scenario.about.split())
    yield ""
    yield from rows(
        ("steps done", _counted(report.applied)),
        ("steps skipped", _counted(report.skipped)),
        ("faults that hit", _counted(report.injected)),
        ("simulated", f"{report.node_seconds:.1f} member seconds in {report.steps} steps"),
        *check_lines(report.findings, checked=checked),
    )
    yield ""
    yield _verdict(report, checked=checked)
    yield f"digest: {report.digest}"


def _verdict(report: Report, *, checked: bool) -> str:
    if report.violations:
        return "failed: a rule was broken" if checked else "failed: the run itself went wrong"
    if not checked:
        return "ended: nothing was checked, but all agree"
    return "passed: no rule was broken"


def _counted(counts: Counter[str]) -> str:
    found = [f"{name} {count}" for name, count in sorted(counts.items()) if count]
    return ", ".join(found) or NOTHING


def _record(scenario: Scenario, report: Report, *, checked: bool) -> dict[str, object]:
    return {
        "passed": not report.violations,
        "about": scenario.about,
        "nodes": scenario.nodes,
        "seed": scenario.seed,
        "profile": scenario.profile,
        "steps_done": dict(sorted(report.applied.items())),
        "steps_skipped": dict(sorted(report.skipped.items())),
        "faults": dict(sorted(report.injected.items())),
        "member_seconds": round(report.node_seconds, 6),
        "steps": report.steps,
        **check_record(report.findings, checked=checked),
        "digest": report.digest,
    }
