"""What ``trio-gossip simulate`` says in the end: lines for people, or one object of JSON."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trio_gossip.cli.simulated import Outcome, Plan
    from trio_gossip.testing.checkers.base import Findings
    from trio_gossip.testing.page.spread import Rumour

_VIOLATIONS_SHOWN: Final = 8
_WIDTH: Final = 98


@attrs.frozen(kw_only=True)
class Told:
    """What is said of a run.

    Attributes:
        passed: nothing went wrong.
        facts: names and values of its parameters and its digest, for the page's heading.
        lines: for people; the digest alone on the last one.
        record: the same for programs. Neither depends on real time.
        seconds: virtual seconds that were simulated, None where that is not known.
        findings: what checkers saw, for the page; None if there were none.
        about: what is played, in words; "" for a plan.
    """

    passed: bool
    facts: list[tuple[str, str]]
    lines: list[str]
    record: dict[str, Any]
    seconds: float | None
    findings: Findings | None
    about: str = ""


def report_of(outcome: Outcome) -> Told:
    """What is said of a plan that was played."""
    return Told(
        passed=outcome.passed,
        facts=[*plan_facts(outcome.plan), ("digest", outcome.digest)],
        lines=list(text_lines(outcome)),
        record=json_record(outcome),
        seconds=outcome.seconds,
        findings=outcome.findings,
    )


def plan_facts(plan: Plan) -> list[tuple[str, str]]:
    """Names and values of the parameters, as the page's heading shows them."""
    return [
        ("nodes", str(plan.nodes)),
        ("kill", str(plan.kill)),
        ("loss", f"{plan.loss * 100:g} %"),
        ("seed", str(plan.seed)),
        ("profile", plan.profile),
    ]


def text_lines(outcome: Outcome) -> Iterator[str]:
    """The report, the digest alone on its last line. The same for the same plan, always."""
    yield ", ".join(f"{name} {value}" for name, value in plan_facts(outcome.plan))
    yield ""
    yield from rows(_formed(outcome), *_totals(outcome), *check_lines(outcome.findings))
    if outcome.deaths:
        yield ""
        yield from _table(outcome)
    yield ""
    yield _verdict(outcome)
    yield f"digest: {outcome.digest}"


def _formed(outcome: Outcome) -> tuple[str, str]:
    last = f"the last one started at {outcome.started_at:.2f} s"
    if outcome.formed_at is None:
        return "formed", f"never: not all agreed within {outcome.seconds:.1f} s"
    return "formed", f"all agreed after {outcome.formed_at:.2f} s; {last}"


def _totals(outcome: Outcome) -> Iterator[tuple[str, str]]:
    wrong = f"{outcome.suspicions} suspicions and {outcome.declarations} declarations"
    yield "false accusations", f"{wrong} of members that ran"
    packets, size = _traffic(outcome)
    yield "traffic", f"{packets:.2f} packets and {size:.0f} bytes a second from each member"
    yield "lost", f"{outcome.lost} of {outcome.packets} packets"
    yield "simulated", f"{outcome.seconds:.1f} s of virtual time in {outcome.steps} steps"


def check_lines(findings: Findings | None, *, checked: bool = True) -> Iterator[tuple[str, str]]:
    """What was found, and which checkers had nothing to check.

    Args:
        findings: None when nothing at all was looked at.
        checked: False when no checker looked; what the run itself found is told all the same.
    """
    if findings is None or not checked:
        yield "rules", "not checked"
    if findings is None:
        return
    idle = findings.idle()
    broken = sum(findings.counts.values())
    if checked:
        yield "rules", f"{len(findings.checked) - len(idle)} checked, {broken or 'no'} violations"
    for violation in findings.violations[:_VIOLATIONS_SHOWN]:
        yield "violation", str(violation)
    if broken > _VIOLATIONS_SHOWN:
        yield "violation", f"and {broken - _VIOLATIONS_SHOWN} more"
    if idle:
        yield "nothing to check", f"for {len(idle)}: {', '.join(idle)}"


def check_record(findings: Findings | None, *, checked: bool = True) -> dict[str, Any]:
    """The same as fields of the record."""
    if findings is None:
        return {"checked": None, "nothing_to_check": None, "violations": None}
    counts = {name: count for name, count in sorted(findings.checked.items()) if count}
    return {
        "checked": counts if checked else None,
        "nothing_to_check": findings.idle() if checked else None,
        "violations": [str(violation) for violation in findings.violations],
    }


def rows(*pairs: tuple[str, str]) -> Iterator[str]:
    """Names and values in two columns."""
    width = max(len(name) for name, _ in pairs)
    for name, value in pairs:
        first, *more = textwrap.wrap(value, _WIDTH - width, break_on_hyphens=False) or [""]
        yield f"{name:{width}}  {first}"
        yield from (f"{'':{width}}  {line}" for line in more)


def _table(outcome: Outcome) -> Iterator[str]:
    """What became known of each member that crashed, in seconds after its crash."""
    width = max(6, *(len(rumour.subject) for rumour in outcome.deaths))
    yield f"{'member':{width}}  crashed at  suspected  declared failed  known to all"
    for rumour in outcome.deaths:
        suspected, failed, known = (
            "never" if after is None else f"+{after:.2f} s" for after in _after(rumour)
        )
        at = f"{rumour.ended_at:.2f} s"
        yield f"{rumour.subject:{width}}  {at:>10}  {suspected:>9}  {failed:>15}  {known:>12}"


def _after(rumour: Rumour) -> list[float | None]:
    """Seconds from the crash to the first suspicion, the first declaration, and the last one."""
    ended_at = rumour.ended_at
    moments = (rumour.suspected_at, rumour.failed_at, rumour.known_at)
    return [None if time is None or ended_at is None else time - ended_at for time in moments]


def _traffic(outcome: Outcome) -> tuple[float, float]:
    seconds = outcome.node_seconds or 1.0
    return outcome.packets / seconds, outcome.bytes / seconds


def _verdict(outcome: Outcome) -> str:
    if outcome.agreed and not outcome.passed:
        return "failed: all survivors agree, but a rule was broken"
    if outcome.agreed and outcome.survivors == 1:
        return "passed: the survivor sees itself alone"
    if outcome.agreed:
        return f"passed: all survivors see the {outcome.survivors} members that run, and no other"
    return f"failed: after {outcome.seconds:.1f} s the members that run do not agree who runs"


def json_record(outcome: Outcome) -> dict[str, Any]:
    """The report as one object; times are virtual seconds, the same for the same plan."""
    packets, size = _traffic(outcome)
    plan = outcome.plan
    return {
        "passed": outcome.passed,
        "nodes": plan.nodes,
        "kill": plan.kill,
        "loss": plan.loss,
        "seed": plan.seed,
        "profile": plan.profile,
        "agreed_after": _rounded(outcome.formed_at),
        "crashes": [_death(rumour) for rumour in outcome.deaths],
        "false_suspicions": outcome.suspicions,
        "false_declarations": outcome.declarations,
        "packets": outcome.packets,
        "packets_lost": outcome.lost,
        "bytes": outcome.bytes,
        "packets_per_member_second": round(packets, 3),
        "bytes_per_member_second": round(size, 1),
        "survivors": outcome.survivors,
        "seconds": _rounded(outcome.seconds),
        "steps": outcome.steps,
        **check_record(outcome.findings),
        "digest": outcome.digest,
    }


def _death(rumour: Rumour) -> dict[str, Any]:
    suspected, failed, known = _after(rumour)
    return {
        "member": rumour.subject,
        "at": _rounded(rumour.ended_at),
        "suspected_after": _rounded(suspected),
        "suspected_by": rumour.suspected_by or None,
        "failed_after": _rounded(failed),
        "failed_by": rumour.failed_by or None,
        "known_to_all_after": _rounded(known),
    }


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
