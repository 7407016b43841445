"""The pytest plugin in projects of other people, each in a process of its own.

A process of its own, because pytest in this one would forget modules that the inner run loads, and
load them a second time later.
"""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

pytest_plugins = ["pytester"]

EXAMPLE = """
async def test_my_cache_survives_a_partition(gossip_network):
    async with gossip_network.clusters("a", "b", "c") as (a, b, c):
        gossip_network.partition({"a"}, {"b", "c"})
        await b.wait_member("a", state="failed")      # virtual seconds, milliseconds of real time
        gossip_network.heal()
        await b.wait_member("a", state="alive")
"""

STRICT = "[pytest]\naddopts = --strict-markers --strict-config\nfilterwarnings = error\n"


async def test_my_cache_survives_a_partition(gossip_network):
    async with gossip_network.clusters("a", "b", "c") as (a, b, c):  # noqa: RUF059 - as in docs
        gossip_network.partition({"a"}, {"b", "c"})
        await b.wait_member("a", state="failed")  # virtual seconds, milliseconds of real time
        gossip_network.heal()
        await b.wait_member("a", state="alive")


def run(pytester: pytest.Pytester, *options: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *options)


@pytest.mark.parametrize(
    ("ini", "head"),
    [
        ("", ""),
        ("trio_mode = true\n", ""),
        ("", "import pytest\n\n@pytest.mark.trio"),
    ],
    ids=["no settings", "trio_mode", "mark"],
)
def test_the_fixture_works_whatever_pytest_trio_is_told(
    pytester: pytest.Pytester, ini: str, head: str
):
    pytester.makeini(STRICT + ini)
    pytester.makepyfile(head + EXAMPLE)
    run(pytester).assert_outcomes(passed=1)


def test_a_test_is_repeated_over_seeds_and_one_that_does_not_use_the_network_is_not(
    pytester: pytest.Pytester,
):
    pytester.makepyfile(
        EXAMPLE
        + """
import pytest

def test_of_something_else():
    pass

@pytest.mark.parametrize("gossip_seed", [3, 4])
async def test_with_seeds_of_its_own(gossip_network, gossip_seed):
    assert gossip_network.seed == gossip_seed
    assert gossip_seed in (3, 4)

@pytest.fixture
async def pair(gossip_network):
    async with gossip_network.clusters("x", "y") as clusters:
        yield clusters

async def test_through_a_fixture(pair):
    assert pair[0].member("y")
"""
    )
    result = run(pytester, "--gossip-seeds=5", "--gossip-seed=10", "-v")
    result.assert_outcomes(passed=5 + 1 + 2 + 5)
    seeds = re.findall(r"survives_a_partition\[(seed=\d+)\]", result.stdout.str())
    assert seeds == [f"seed={seed}" for seed in range(10, 15)]


FAILING = """
import pytest

@pytest.mark.parametrize("size", [2, 3])
async def test_size(gossip_network, size):
    async with gossip_network.clusters(*"abc"[:size]) as clusters:
        gossip_network.cut("a", "b")
        gossip_network.lossy(0.5)
        await gossip_network.run_for(2)
        assert len(clusters) == 2
"""


def test_a_failure_says_seed_replay_faults_and_the_end_of_the_trace(pytester: pytest.Pytester):
    pytester.makepyfile(test_it=FAILING)
    result = run(pytester, "--gossip-seed=42")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            ">*assert len(clusters) == 2",
            "*- gossip network -*",
            "seed 42; to see it again: pytest 'test_it.py::test_size[[]3]' --gossip-seed=42",
            "faults: cut 1 x, lossy 1 x",
            "packets: * sent, * lost, * cut; digest *",
            "the last 10 records that are no packets:",
            "* event    b MemberJoined c *",
            "* fault    cut a -> b",
            "* fault    lossy loss=0.5",
            "the last 20 of * records:",
            "* end      c",
        ]
    )
    text = result.stdout.str()
    assert "ExceptionGroup" not in text
    assert "plugin.py" not in text, "frames of the kit are of no use to the reader"

    again = run(pytester, "--gossip-seeds=3", "--gossip-seed=41", "-n0")
    again.assert_outcomes(passed=3, failed=3)
    replay = "pytest 'test_it.py::test_size[[]3]' --gossip-seed=42"
    again.stdout.fnmatch_lines([f"seed 42; to see it again: {replay}"])
    digest = re.search(r"digest (\w+)", text)[1]
    digests = re.findall(r"digest (\w+)", again.stdout.str())
    assert digests[1] == digest, "the replay is the same run"
    assert len(set(digests)) == 3


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            "--gossip-seed=x",
            "--gossip-seed is a whole number from 0 to 9223372036854775807, not 'x'",
        ),
        (
            "--gossip-seed=-1",
            "--gossip-seed is a whole number from 0 to 9223372036854775807, not '-1'",
        ),
        (
            "--gossip-seeds=100001",
            "--gossip-seeds is a whole number from 1 to 100000, not '100001'",
        ),
    ],
)
def test_a_bad_option_gives_one_line(pytester: pytest.Pytester, option: str, message: str):
    pytester.makepyfile(EXAMPLE)
    result = run(pytester, option)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.errlines if line] == [f"ERROR: {message}"]


def test_it_can_be_switched_off_and_says_what_it_lacks(pytester: pytest.Pytester):
    pytester.makepyfile(EXAMPLE)
    off = run(pytester, "-p", "no:trio_gossip")
    off.assert_outcomes(errors=1)
    off.stdout.fnmatch_lines(["*fixture 'gossip_network' not found"])
    lacking = run(pytester, "-p", "no:trio", "-W", "error")
    lacking.assert_outcomes(errors=1)
    lacking.stdout.fnmatch_lines(["gossip_network needs pytest-trio: pip install *"])


def test_fixtures_clocks_and_runners_of_the_project_go_together_with_it(
    pytester: pytest.Pytester,
):
    pytester.makeini(STRICT)
    pytester.makepyfile(
        """
import pytest, trio
from trio.testing import MockClock

used = []

def runner(function, **options):
    used.append(function)
    return trio.run(function, **options)

@pytest.fixture
def gossip_network(gossip_network):
    gossip_network.set_faults(latency=0.01)
    return gossip_network

async def test_the_fixture_is_overridden_and_the_nursery_is_there(gossip_network, nursery):
    async with gossip_network.clusters("a", "b") as (a, b):
        nursery.start_soon(gossip_network.run_for, 0.1)
        assert await a.ping("b") == pytest.approx(0.02)

@pytest.mark.trio(run=runner)
async def test_a_runner_of_the_project_is_used(gossip_network):
    assert used
    assert isinstance(trio.lowlevel.current_clock(), MockClock)

async def test_a_clock_of_the_test_is_used(gossip_network, autojump_clock):
    assert trio.lowlevel.current_clock() is autojump_clock
    async with gossip_network.clusters("a", "b"):
        pass

async def test_a_clock_that_stands_still_is_refused(gossip_network, mock_clock):
    with pytest.raises(RuntimeError, match="stands still"):
        async with gossip_network.clusters("a", "b"):
            pass
    mock_clock.autojump_threshold = 0
    async with gossip_network.clusters("a", "b"):
        pass

@pytest.mark.trio(run=lambda function, **options: trio.run(function))
async def test_real_time_is_noticed(gossip_network):
    from trio_gossip.testing import RealTimeWarning
    with pytest.warns(RealTimeWarning, match="autojump_clock"):
        async with gossip_network.clusters("a", "b"):
            pass

def test_that_is_not_async(gossip_network):
    async def main():
        async with gossip_network.clusters("a", "b"):
            await gossip_network.run_for(100)
            return gossip_network.now
    assert gossip_network.run(main) > 100
"""
    )
    run(pytester, "-n1").assert_outcomes(passed=6)


def test_loading_the_plugin_loads_nothing_that_a_project_would_notice() -> None:
    script = "import sys, trio_gossip.testing.plugin; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    loaded = set(done.stdout.split())
    ours = {name for name in loaded if name.startswith("trio_gossip")}
    assert loaded.isdisjoint({"trio", "attrs", "cbor2", "hypothesis", "asyncio"})
    assert "trio_gossip.testing.plugin" in ours
    assert ours <= {"trio_gossip", "trio_gossip.testing", "trio_gossip.testing.plugin"}
