"""When patience ends: the message says where the test was waiting."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
import trio

from trio_gossip.testing import GossipNetwork

pytest_plugins = ["pytester"]

FILE = Path(__file__)


def line_of(text: str) -> int:
    """The line of this file that ends so."""
    lines = FILE.read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if line.endswith(text))


async def helper(cluster) -> None:
    await cluster.wait_member("zz")  # a helper waits


async def test_it_names_the_innermost_line_of_the_test(gossip_network):
    gossip_network.patience = 50
    with pytest.raises(trio.TooSlowError) as caught:
        async with gossip_network.clusters("a", "b") as (a, _):
            await helper(a)
    text = str(caught.value)
    assert f"test_waiting.py:{line_of('# a helper waits')} in helper." in text
    assert "50 virtual seconds in one block" in text
    assert "\n" not in text


FIXTURE = """
import pytest, trio

@pytest.fixture
async def members(gossip_network):
    gossip_network.patience = 50
    async with gossip_network.clusters("a", "b") as clusters:
        yield clusters

async def program():
    await trio.sleep_forever()

async def test_it(members, nursery):
    nursery.start_soon(program)
    await members[0].wait_member("zz")
"""


def test_it_finds_a_test_whose_block_is_in_a_fixture(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(test_it=FIXTURE)
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.stdout.fnmatch_lines(
        ["*TooSlowError: *never come, at test_it.py:14 in test_it, test_it.py:10 in program.*"]
    )


def test_tasks_of_members_and_of_trio_do_not_count() -> None:
    network = GossipNetwork(patience=20)

    async def main() -> None:
        async with network.clusters("a"), trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            await trio.sleep_forever()  # main

    with pytest.raises(trio.TooSlowError) as caught:
        network.run(main)
    assert f"test_waiting.py:{line_of('# main')} in main" in str(caught.value)
    assert str(caught.value).count(".py:") == 1


def test_a_path_outside_of_the_working_directory_is_whole(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    network = GossipNetwork(patience=20)

    async def main() -> None:
        async with network.clusters("a"):
            await trio.sleep_forever()

    with pytest.raises(trio.TooSlowError) as caught:
        network.run(main)
    assert inspect.getfile(main) in str(caught.value)
