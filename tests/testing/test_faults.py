"""Faults of links: each call, as a call and as a block, nested, per direction, by any name."""

from __future__ import annotations

import itertools

import pytest

from trio_gossip import Address
from trio_gossip.testing import Fault, GossipNetwork
from trio_gossip.testing.kit.faults import EVERYWHERE, Links
from trio_gossip_transports import MemoryNetwork
from trio_gossip_transports.links import Faults


@pytest.fixture
def network(gossip_network: GossipNetwork) -> GossipNetwork:
    """Three hosts without a member: what arrives is all that matters here."""
    gossip_network.ends = {name: gossip_network.transport(name) for name in "abc"}
    return gossip_network


async def arrivals(network: GossipNetwork, count: int = 1, *, seconds: float = 1) -> dict[str, int]:
    """How many of ``count`` packets arrive in each direction."""
    for one, other in itertools.permutations(network.ends.values(), 2):
        for _ in range(count):
            one.send_packet(one.local_address.host.encode(), other.local_address)
    await network.run_for(seconds)
    arrived = {f"{one}{other}": 0 for one, other in itertools.permutations(network.ends, 2)}
    for host, end in network.ends.items():
        while packets := end.receive_packets_nowait():
            for data, _ in packets:
                arrived[data.decode() + host] += 1
    return arrived


async def missing(network: GossipNetwork, count: int = 1) -> str:
    """The directions in which nothing arrives."""
    arrived = await arrivals(network, count)
    return " ".join(direction for direction, number in sorted(arrived.items()) if not number)


async def test_a_partition_is_cut_between_groups_until_it_is_healed(network):
    network.partition({"a"}, {"b", "c"})
    assert await missing(network) == "ab ac ba ca"
    network.heal()
    assert await missing(network) == ""
    assert network.injected == {"partition": 1, "heal": 1}


async def test_a_partition_as_a_block_ends_with_it(network):
    with network.partitioned("a", ["b"], [Address("c", 7946)]):
        assert await missing(network) == "ab ac ba bc ca cb"
    assert await missing(network) == ""


async def test_a_cut_has_one_direction(network):
    fault = network.cut("a", "b")
    assert await missing(network) == "ab"
    fault.end()
    assert await missing(network) == ""


async def test_an_isolated_host_is_cut_off_from_those_that_come_later_too(network):
    with network.isolate("b"):
        network.ends["d"] = network.transport("d")
        assert await missing(network) == "ab ba bc bd cb db"
    assert await missing(network) == ""


async def test_cuts_add_up_and_each_ends_alone_in_any_order(network):
    first = network.partition("a", "b")
    second = network.isolate("a")
    third = network.cut("c", "b")
    first.end()
    assert await missing(network) == "ab ac ba ca cb"
    third.end()
    assert await missing(network) == "ab ac ba ca"
    second.end()
    assert await missing(network) == ""


async def test_healing_ends_the_cuts_of_blocks_too_and_nothing_else(network):
    network.ends["a"].send_packet(b"a", Address("b", 7946))
    with network.partitioned("a", "b"), network.lossy(1.0, source="c", target="a"):
        network.heal()
        assert await missing(network) == "ca"
        network.cut("b", "c")
    assert await missing(network) == "bc", "a block that was healed has nothing left to end"


async def test_an_end_that_comes_twice_does_not_end_the_fault_of_another(network):
    first = network.cut("a", "b")
    first.end()
    network.cut("a", "b")
    first.end()
    assert await missing(network) == "ab"
    ends = [line for line in network.trace.lines() if "end of" in line]
    assert len(ends) == 1


async def test_a_block_ends_with_an_exception(network):
    def fail() -> None:
        with network.partitioned("a", "b"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert await missing(network) == ""


async def test_loss_is_for_all_or_for_one_source_or_target_or_direction(network):
    with network.lossy(1.0):
        assert await missing(network) == "ab ac ba bc ca cb"
    with network.lossy(1.0, source="a"):
        assert await missing(network) == "ab ac"
    with network.lossy(1.0, target="a"):
        assert await missing(network) == "ba ca"
    with network.lossy(1.0, source="a", target="b"):
        assert await missing(network) == "ab"
    assert await missing(network) == ""
    with network.lossy(0.5):
        assert all(0 < number < 50 for number in (await arrivals(network, 50)).values())


async def test_duplicates_delays_and_reordering(network):
    with network.duplicating(1.0, target="b"):
        assert await arrivals(network) == {"ab": 2, "cb": 2, "ac": 1, "ba": 1, "bc": 1, "ca": 1}
    with network.slow(0.5, source="a", target="b"), network.slow((0.2, 0.3), source="c"):
        assert (await arrivals(network, seconds=0.1)).keys() >= {"ab"}
        await arrivals(network, seconds=1)
        arrived = await arrivals(network, seconds=0.4)
        assert (arrived["ab"], arrived["ca"], arrived["cb"]) == (0, 1, 1)
    await network.run_for(1)
    await arrivals(network)
    with network.reordering(1.0, hold=5.0, source="a"):
        arrived = await arrivals(network)
        assert (arrived["ab"], arrived["ac"], arrived["ba"]) == (0, 0, 1)
    assert network.statistics().reordered == 2


async def test_the_fault_begun_last_counts_and_when_it_ends_the_one_before(network):
    with network.lossy(1.0), network.lossy(0.0, source="a"):
        assert await missing(network) == "ba bc ca cb"
        with network.lossy(1.0, target="b"):
            assert await missing(network) == "ab ba bc ca cb"
        assert await missing(network) == "ba bc ca cb"
    assert await missing(network) == ""


async def test_faults_that_do_not_end_in_the_order_of_their_beginning(network):
    below = network.lossy(1.0)
    above = network.lossy(0.0)
    below.end()
    assert await missing(network) == ""
    below = network.lossy(1.0)
    above.end()
    assert await missing(network) == "ab ac ba bc ca cb"
    below.end()
    assert await missing(network) == ""


async def test_what_is_set_lies_below_the_faults_in_force(network):
    network.set_faults(loss=1.0)
    network.set_link("a", "b", loss=0.0)
    network.set_link("c", "b", loss=0.0, one_way=True)
    assert await missing(network) == "ac bc ca"
    with network.lossy(0.0):
        network.set_link("a", "b", one_way=True, loss=1.0)
        network.set_faults(latency=0.01)
        assert await missing(network) == ""
    assert await missing(network) == "ab ac bc ca"
    network.set_faults(loss=0.0)
    assert await missing(network) == "ab", "a link with settings of its own keeps them"
    network.set_link("a", "b", latency=0.1)
    assert await missing(network) == "ab", "what is not named stays as it is"


async def test_options_of_the_network_lie_below_the_faults(autojump_clock):
    network = GossipNetwork(loss=1.0)
    network.ends = {name: network.transport(name) for name in "ab"}
    with network.lossy(0.0):
        assert await missing(network) == ""
    assert await missing(network) == "ab ba"


def test_the_network_is_told_nothing_that_it_knows() -> None:
    told = []

    class Telling(MemoryNetwork):
        def set_link(self, *pair, **settings):
            told.append(pair)

        def cut(self, *pair):
            told.append(pair)

        def mend(self, *pair):
            told.append(pair)

    links = Links(Telling(), Faults())
    for name in "abc":
        links.add_host(name)
        links.add_host(name)
    fault = links.begin(EVERYWHERE, {"loss": 0.5})
    links.end(fault)
    links.set_everywhere(loss=0.1)
    assert told == [], "all links follow what is said of all links"
    links.begin([("a", "b")])
    links.begin([("a", "b")])
    links.begin([("a", "c")], {"loss": 0.2})
    assert told == [("a", "b"), ("a", "c")]
    links.heal()
    assert told == [("a", "b"), ("a", "c"), ("a", "b")]
    assert links.hosts == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda network: network.partition({"a", "b"}), "at least two groups, and none is empty"),
        (lambda network: network.partition("a", []), "at least two groups, and none is empty"),
        (lambda network: network.partition("a", {"b", "a"}), "in two groups: a"),
        (lambda network: network.cut("a", "bb"), "nobody here is called 'bb'; there are a, b, c"),
        (lambda network: network.isolate("x"), "nobody here is called 'x'"),
        (lambda network: network.lossy(0.5, target="x"), "nobody here is called 'x'"),
        (lambda network: network.lossy(1.5), "loss must be from 0 to 1, not 1.5"),
        (lambda network: network.slow(-1), "latency must be seconds"),
        (lambda network: network.set_faults(loss=2), "loss must be from 0 to 1, not 2"),
        (lambda network: network.transport("a:b"), "text without colon"),
    ],
)
async def test_what_makes_no_sense_is_refused_in_one_line_and_changes_nothing(
    network, act, message
):
    with pytest.raises(ValueError, match=message) as caught:
        act(network)
    assert "\n" not in str(caught.value)
    assert network.injected == {}
    assert await missing(network) == ""


def test_a_setting_or_a_member_of_another_kind_is_a_type_error(network) -> None:
    with pytest.raises(TypeError, match="'lose' is no setting of a link; those are latency, loss"):
        network.set_faults(lose=0.5)
    with pytest.raises(TypeError, match="by its name or Cluster, not int"):
        network.isolate(1)


async def test_every_fault_stands_in_the_trace(network):
    with network.lossy(0.25, source="a"), network.partitioned({"b", "a"}, "c"):
        await network.run_for(2)
    assert [line.split(maxsplit=1) for line in network.trace.lines()] == [
        ["0.000000", "fault    lossy a -> all loss=0.25"],
        ["0.000000", "fault    partition a b | c"],
        ["2.000000", "fault    end of partition a b | c"],
        ["2.000000", "fault    end of lossy a -> all loss=0.25"],
    ]


def test_faults_can_be_set_before_trio_runs_and_before_anybody_is_there() -> None:
    network = GossipNetwork()
    network.set_link("a", "b", loss=1.0)
    assert isinstance(network.cut("b", "c"), Fault)

    async def main() -> None:
        network.ends = {name: network.transport(name) for name in "abc"}
        assert await missing(network) == "ab ba bc"

    network.run(main)
