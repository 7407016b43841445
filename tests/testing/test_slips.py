"""Slips of the pen of whoever writes a test: each gives one line that says what is wanted."""

from __future__ import annotations

import pytest

from trio_gossip.testing import GossipNetwork

SHARE = "must be from 0 to 1, not"
SECONDS = r"latency must be seconds, or a tuple \(low, high\) of them, not"


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda network: network.lossy("x"), f"loss {SHARE} 'x'"),
        (lambda network: network.lossy(None), f"loss {SHARE} None"),
        (lambda network: network.duplicating([0.5]), f"duplicate {SHARE} "),
        (lambda network: network.reordering("s"), f"reorder {SHARE} 's'"),
        (lambda network: network.reordering(0.5, hold="s"), "hold must be seconds, 0 or more"),
        (lambda network: network.slow("ab"), f"{SECONDS} 'ab'"),
        (lambda network: network.slow((1,)), rf"{SECONDS} \(1,\)"),
        (lambda network: network.slow((1, 2, 3)), rf"{SECONDS} \(1, 2, 3\)"),
        (lambda network: network.slow(("a", "b")), SECONDS),
        (lambda network: network.slow([0.1, 0.2]), SECONDS),
        (lambda network: network.set_faults(loss="x"), f"loss {SHARE} 'x'"),
        (lambda network: network.set_link("a", "b", latency=None), f"{SECONDS} None"),
        (lambda _: GossipNetwork(seed="x"), "the seed of a network is a whole number, not 'x'"),
        (lambda _: GossipNetwork(seed=1.5), "the seed of a network is a whole number, not 1.5"),
        (lambda _: GossipNetwork(latency="x"), f"{SECONDS} 'x'"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_at_once(act, message) -> None:
    network = GossipNetwork()
    with pytest.raises(TypeError, match=message) as caught:
        act(network)
    assert "\n" not in str(caught.value)
    assert network.injected == {}


@pytest.mark.parametrize(
    "act",
    [
        lambda network: network.cut("a", "a"),
        lambda network: network.set_link("a", "a", loss=1.0),
        lambda network: network.lossy(0.5, source="a", target="a"),
    ],
)
def test_a_link_has_two_ends(act) -> None:
    network = GossipNetwork()
    with pytest.raises(ValueError, match="a link has two ends, and 'a' is both of them"):
        act(network)
    assert network.injected == {}


@pytest.mark.parametrize("names", [["a", "b"], ("a", "b"), {"a": 1}, iter("ab")])
async def test_names_in_a_list_are_asked_for_one_by_one(gossip_network, names):
    with pytest.raises(TypeError, match="pass the names one by one") as caught:
        async with gossip_network.clusters(names):
            raise AssertionError("not reached")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nosuch": 1}, "'nosuch' is no setting of a member; trio_gossip.Config has them all"),
        (
            {"probe_intervall": 1},
            "'probe_intervall' is no setting of a member; did you mean 'probe_interval'",
        ),
    ],
)
async def test_a_setting_that_nobody_knows_is_named(gossip_network, changes, message):
    with pytest.raises(TypeError, match=message) as caught:
        async with gossip_network.clusters("a", **changes):
            raise AssertionError("not reached")
    assert "\n" not in str(caught.value)
    with pytest.raises(TypeError, match=message):
        async with gossip_network.cluster("a", **changes):
            raise AssertionError("not reached")
    with pytest.raises(ValueError, match="no blank or colon, not 'a b'"):
        async with gossip_network.cluster("a b", **changes):
            raise AssertionError("not reached")
    assert gossip_network.running == ()
