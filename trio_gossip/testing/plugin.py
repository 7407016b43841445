"""The pytest plugin: the fixture ``gossip_network``, a cluster in one line and in virtual time.

pytest loads this in every project where trio-gossip is installed, before coverage begins to
measure: so nothing of trio-gossip is imported here before a test needs it.
"""

from __future__ import annotations

import inspect
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from trio_gossip.testing.kit.network import GossipNetwork

SEEDS_MAX: Final = 100_000
"""Most repetitions that ``--gossip-seeds`` takes: pytest holds all of them in memory."""

SEED_MAX: Final = 2**63 - 1
"""Largest seed on the command line."""

FIXTURE: Final = "gossip_network"
SEED_FIXTURE: Final = "gossip_seed"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Two options."""
    group = parser.getgroup("trio-gossip")
    group.addoption(
        "--gossip-seed",
        default="0",
        metavar="N",
        help="seed of every gossip_network: of its faults, its members and trio's scheduler"
        " (default: 0, so that runs repeat themselves; a failing test prints its seed)",
    )
    group.addoption(
        "--gossip-seeds",
        default="1",
        metavar="N",
        help="run every test that uses gossip_network with N seeds, from --gossip-seed on"
        " (default: 1)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Look at the options before any test runs.

    Raises:
        pytest.UsageError: in one line.
    """
    first = _number(config, "--gossip-seed", 0, SEED_MAX)
    count = _number(config, "--gossip-seeds", 1, SEEDS_MAX)
    if first + count - 1 > SEED_MAX:
        raise pytest.UsageError(f"--gossip-seed: {count} seeds from {first} on are too large")


def _number(config: pytest.Config, option: str, low: int, high: int) -> int:
    text = str(config.getoption(option))
    if not (text.isascii() and text.isdigit() and len(text) < 20 and low <= int(text) <= high):
        raise pytest.UsageError(f"{option} is a whole number from {low} to {high}, not {text!r}")
    return int(text)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Repeat tests over seeds when that is asked for. A test that pins its seeds keeps them."""
    count = _number(metafunc.config, "--gossip-seeds", 1, SEEDS_MAX)
    if count == 1 or SEED_FIXTURE not in metafunc.fixturenames or _pins_seeds(metafunc):
        return
    first = _number(metafunc.config, "--gossip-seed", 0, SEED_MAX)
    seeds = range(first, first + count)
    metafunc.parametrize(SEED_FIXTURE, seeds, indirect=True, ids=[f"seed={seed}" for seed in seeds])


def _pins_seeds(metafunc: pytest.Metafunc) -> bool:
    for mark in metafunc.definition.iter_markers("parametrize"):
        names = mark.args[0] if mark.args else mark.kwargs.get("argnames", ())
        names = names.split(",") if isinstance(names, str) else names
        if SEED_FIXTURE in [name.strip() for name in names]:
            return True
    return False


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every async test that uses the network a clock that jumps.

    pytest-trio takes a clock from the arguments of the test function only, so that a fixture
    cannot ask for one. It takes a runner from its mark; the first mark that names one counts.
    """
    if "pytest_trio.plugin" not in sys.modules:
        return
    for item in items:
        if FIXTURE not in getattr(item, "fixturenames", ()):
            continue
        function = getattr(item, "obj", None)
        if not inspect.iscoroutinefunction(function):
            continue
        marks = list(item.iter_markers("trio"))
        if not marks and any(item.get_closest_marker(name) for name in ("anyio", "asyncio")):
            continue  # another plugin runs it
        run = next((mark.kwargs["run"] for mark in marks if "run" in mark.kwargs), None)
        item.add_marker(pytest.mark.trio(run=partial(_run, run)), append=False)


def _run(
    run: Callable[..., Any] | None, function: Callable[..., Any], *, clock: Any, instruments: Any
) -> Any:
    """Run a test as pytest-trio does; on a clock that jumps unless the test has brought one.

    A single error comes out of the group that pytest-trio has put it into, so that pytest can
    show the line and the values.
    """
    __tracebackhide__ = True
    import trio
    from trio.testing import MockClock

    if clock is None:
        clock = MockClock(autojump_threshold=0)
    try:
        return (run or trio.run)(function, clock=clock, instruments=instruments)
    except BaseExceptionGroup as group:
        error, *others = group.exceptions
        if others:
            raise
    raise error


@pytest.fixture
def gossip_seed(request: pytest.FixtureRequest) -> int:
    """The seed of this test: from ``--gossip-seed``, or one of ``--gossip-seeds``.

    ``@pytest.mark.parametrize("gossip_seed", [7, 13])`` pins seeds for a test.
    """
    if hasattr(request, "param"):
        return int(request.param)
    return _number(request.config, "--gossip-seed", 0, SEED_MAX)


@pytest.fixture
def gossip_network(
    request: pytest.FixtureRequest, gossip_seed: int
) -> Generator[GossipNetwork, None, None]:
    """A network for real clusters in virtual time: see ``trio_gossip.testing.GossipNetwork``.

    Works with ``trio_mode`` of pytest-trio, with ``@pytest.mark.trio``, and without both. Tests
    that are not async start their clusters by ``gossip_network.run(main)``.
    """
    is_async = inspect.iscoroutinefunction(getattr(request.node, "obj", None))
    if is_async and "pytest_trio.plugin" not in sys.modules:
        text = "gossip_network needs pytest-trio: pip install 'trio-gossip[testing]'"
        pytest.fail(text, pytrace=False)
    from trio_gossip.testing.kit.network import GossipNetwork

    network = GossipNetwork(gossip_seed)
    with network.repeatable():
        yield network


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say in the report of a failed test how to see the same again."""
    report = yield
    network: Any = getattr(item, "funcargs", {}).get(FIXTURE)
    # A project may have put an async fixture of the same name over ours.
    network = getattr(network, "fixture_value", network)
    if report.when == "call" and report.failed and hasattr(network, "injected"):
        from trio_gossip.testing.kit.report import failure_report

        test = _without_seed(item.nodeid, f"seed={network.seed}")
        report.sections.append(("gossip network", failure_report(network, test)))
    return report


def _without_seed(test: str, name: str) -> str:
    """A test's id as it is when seeds are not repeated."""
    for written, instead in ((f"[{name}]", ""), (f"[{name}-", "["), (f"-{name}]", "]")):
        if written in test:
            return test.replace(written, instead)
    return test.replace(f"-{name}-", "-")
