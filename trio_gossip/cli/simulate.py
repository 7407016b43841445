"""``trio-gossip simulate``: its options, and what is wrong with them, before anything runs."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import click
from click.core import ParameterSource

from trio_gossip.cli.problems import EXIT_DONE, EXIT_FAILED, BadInputError
from trio_gossip.cli.simulation_options import (
    STANDARD_OUTPUT,
    Probability,
    Seconds,
    WholeNumber,
    cannot_write,
    writable,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_gossip.cli.simulated import Plan
    from trio_gossip.cli.simulation_report import Told
    from trio_gossip.testing.trace import Trace

_Runner: TypeAlias = "Callable[[Trace, Callable[[str, float], None]], Told]"

NODES_MAX: Final = 5_000
"""Members of one simulation. Each knows all others: beyond it, memory and time grow with the
square. More is refused as a wrong option."""

SECONDS_MAX: Final = 86_400.0
"""Virtual seconds of one simulation, a day. More is refused as a wrong option."""

_SEED_END: Final = 2**64
_KILL_DEFAULT: Final = 3
_SECONDS_DEFAULT: Final = {
    "lan": 300.0,
    "fast": 300.0,
    "safe": 300.0,
    "wan": 1_800.0,
    "local": 300.0,
}
_OF_A_PLAN: Final = ("nodes", "kill", "loss", "seed", "profile", "seconds")


@click.command()
@click.option(
    "--nodes",
    type=WholeNumber(2, NODES_MAX),
    metavar="N",
    default=100,
    show_default=True,
    help=f"Members of the cluster, 2 to {NODES_MAX}.",
)
@click.option(
    "--kill",
    type=WholeNumber(0),
    metavar="K",
    help="How many of them crash, chosen by the seed; less than all.  [default: 3, or all but one]",
)
@click.option(
    "--loss",
    type=Probability(),
    metavar="P",
    default=0.0,
    show_default=True,
    help="Probability that a packet is lost, 0 to 1.",
)
@click.option(
    "--seed",
    type=WholeNumber(0, _SEED_END - 1),
    metavar="S",
    default=0,
    show_default=True,
    help="Of all chance: the same seed gives the same run.",
)
@click.option(
    "--profile",
    type=click.Choice(tuple(_SECONDS_DEFAULT)),
    default="lan",
    show_default=True,
    help="Timing: how fast to probe and how long to wait before a death is declared.",
)
@click.option(
    "--seconds",
    type=Seconds(SECONDS_MAX),
    metavar="S",
    help="Virtual seconds after which to give up.  [default: 300, wan: 1800]",
)
@click.option(
    "--replay",
    metavar="FILE",
    help="Play the scenario of a file; it says all that the options above say.",
)
@click.option(
    "--check/--no-check",
    default=True,
    show_default=True,
    help="Check the rules of the protocol at every step; takes up to twice as long.",
)
@click.option(
    "--html",
    metavar="FILE",
    callback=writable,
    help="Write a page to watch the run in a browser; it needs no network.",
)
@click.option(
    "--trace",
    metavar="FILE",
    callback=writable,
    help="Write all that happened as lines; - is standard output.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON object.")
@click.pass_context
def simulate(
    ctx: click.Context,
    *,
    nodes: int,
    kill: int | None,
    loss: float,
    seed: int,
    profile: str,
    seconds: float | None,
    replay: str | None,
    check: bool,
    html: str | None,
    trace: str | None,
    as_json: bool,
) -> int:
    """Simulate a cluster in virtual time: it forms, members crash, the others find out.

    Engines only, no network: a hundred members take seconds. Prints when each crash was suspected,
    declared and known to all. The digest in the last line is the same wherever the same version is
    run with the same options. Exits with 0 if all survivors agree in the end and no rule was
    broken, with 1 if not, and with 2 for bad input.
    """
    # Lazily: the other commands need none of it.
    from trio_gossip.cli.simulated import Plan
    from trio_gossip.cli.simulation_results import progress_bar, write_page, write_trace
    from trio_gossip.testing.trace import RECORDS_MAX, Trace

    if as_json and trace == STANDARD_OUTPUT:
        raise BadInputError("--json and --trace - both want standard output")
    if html is not None and trace is not None and Path(html).resolve() == Path(trace).resolve():
        raise BadInputError("--html and --trace name the same file")
    if replay is None:
        limit = _SECONDS_DEFAULT[profile] if seconds is None else seconds
        kill = min(_KILL_DEFAULT, nodes - 1) if kill is None else kill
        plan = Plan(nodes=nodes, kill=kill, loss=loss, seed=seed, profile=profile, seconds=limit)
        run = _runner_of(plan, check=check, page=html is not None)
    else:
        run = _runner_of_file(ctx, replay, check=check, page=html is not None)
    records = Trace(keep=RECORDS_MAX if html or trace else 0)
    began = time.perf_counter()
    with progress_bar() as progress:
        told = run(records, progress)
    elapsed = time.perf_counter() - began
    if records.dropped and (html or trace):
        _note(f"the first {records.dropped} records of the trace were not kept")
    if trace == STANDARD_OUTPUT:
        write_trace(records, trace)
    _print(json.dumps(told.record) if as_json else "\n".join(told.lines))
    # Files come after the report: it is not lost when the disk is full.
    if trace is not None and trace != STANDARD_OUTPUT:
        write_trace(records, trace)
    if html is not None:
        write_page(records, html, told)
    speed = "" if told.seconds is None else f", {told.seconds / elapsed:.0f} times real time"
    _note(f"took {elapsed:.1f} s of real time{speed}")
    return EXIT_DONE if told.passed else EXIT_FAILED


def _runner_of(plan: Plan, *, check: bool, page: bool) -> _Runner:
    """How to run a plan, if it makes sense.

    Raises:
        BadInputError: it does not.
    """
    from trio_gossip.cli.simulated import Scene
    from trio_gossip.cli.simulation_report import report_of

    if plan.kill >= plan.nodes:
        raise BadInputError(f"--kill {plan.kill} of --nodes {plan.nodes} leaves nobody to find out")
    _refuse_large(plan.nodes, page=page)
    return lambda records, progress: report_of(Scene(plan, records, progress, check=check).play())


def _runner_of_file(ctx: click.Context, path: str, *, check: bool, page: bool) -> _Runner:
    """How to replay a file, if it holds something that can be played.

    Raises:
        BadInputError: it does not, or options say something that the file says too.
    """
    from trio_gossip.cli.simulation_replay import replay_scenario
    from trio_gossip.testing.scenarios.reading import ScenarioError
    from trio_gossip.testing.scenarios.scenario import Scenario

    for name in _OF_A_PLAN:
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise BadInputError(f"--{name} and --replay: the file says what is played")
    try:
        scenario = Scenario.load(path)
    except (ScenarioError, ValueError) as error:
        raise BadInputError(f"--replay: {error}") from None
    _refuse_large(scenario.nodes, page=page)
    return lambda records, _: replay_scenario(scenario, records, check=check)


def _refuse_large(nodes: int, *, page: bool) -> None:
    from trio_gossip.testing.page.data import NODES_MAX as PAGE_NODES_MAX

    if page and nodes > PAGE_NODES_MAX:
        raise BadInputError(f"--html shows at most {PAGE_NODES_MAX} members, not {nodes}")


def _print(text: str) -> None:
    """Say the result.

    Raises:
        BadInputError: standard output takes nothing, for a reason that a person wants to know.
    """
    try:
        click.echo(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise cannot_write(STANDARD_OUTPUT, error) from None


def _note(text: str) -> None:
    """Say something beside the result."""
    click.echo(text, err=True)
