"""``cluster.state`` and ``cluster.shared``: what every member writes and reads."""

from __future__ import annotations

from enum import StrEnum
from functools import partial

import pytest
import trio

from trio_gossip import LocalProtocolError, StateChange, StateItem


async def settled(*clusters, key, value, of=None):
    """Wait until each of them has been told of a value, or that there is none."""
    for each in clusters:
        view = each.shared if of is None else each.state
        get = view.get if of is None else partial(view.get, member=of)
        with view.changes(key) as changes:
            while get(key) != value:
                await anext(changes)


async def test_a_key_of_one_member_is_read_by_all_and_goes_with_it(gossip_network):
    async with gossip_network.clusters("a", "b", "c") as (a, b, c):
        a.state.set("load", b"0.5")
        assert a.state.get("load") == b"0.5"
        await settled(b, c, key="load", value=b"0.5", of="a")
        assert b.state.get("load") is None, "that is b's own key"
        assert b.state.items() == [StateItem("a", "load", b"0.5")]
        assert b.state.items("lo", a.local) == [StateItem("a", "load", b"0.5")]
        assert not b.state.items("x")
        assert a.state.delete("load")
        assert not a.state.delete("load")
        await settled(b, c, key="load", value=None, of="a")
        a.state.set("load", b"0.7")
        await settled(b, key="load", value=b"0.7", of="a")
        await gossip_network.crash("a")
        await b.wait_member("a", state="failed")
        assert b.state.get("load", "a") == b"0.7"
        await settled(b, c, key="load", value=None, of="a")


async def test_the_last_writer_of_a_shared_key_wins_everywhere(gossip_network):
    async with gossip_network.clusters("a", "b", "c") as (a, b, c):
        gossip_network.partition({"a"}, {"b", "c"})
        a.shared.set("leader", b"a")
        await trio.sleep(1)
        b.shared.set("leader", b"b")
        await settled(c, key="leader", value=b"b")
        gossip_network.heal()
        await settled(a, b, c, key="leader", value=b"b")
        assert c.shared.items() == [StateItem("b", "leader", b"b")]
        assert c.shared.delete("leader")
        await settled(a, b, key="leader", value=None)


async def test_a_newcomer_has_all_state_soon_after_its_join(gossip_network):
    async with gossip_network.clusters("a", "b", "c") as (a, b, _):
        await gossip_network.crash("c")
        a.state.set("long", b"x" * 65_536)
        b.shared.set("name", b"production")
        await trio.sleep(60)
        newcomer = await gossip_network.restart("c")
        with trio.fail_after(1):
            await settled(newcomer, key="long", value=b"x" * 65_536, of="a")
            await settled(newcomer, key="name", value=b"production")


async def test_changes_begin_with_what_there_is_and_miss_nothing(gossip_network):
    async with gossip_network.clusters("a", "b") as (a, b):
        a.state.set("x/1", b"one")
        a.state.set("y", b"other")
        await settled(b, key="y", value=b"other", of="a")
        with b.state.changes("x/") as changes, b.shared.changes() as shared:
            assert await anext(changes) == StateChange("a", "x/1", b"one")
            a.state.set("x/1", b"two")
            assert await anext(changes) == StateChange("a", "x/1", b"two")
            a.shared.set("s", b"1")
            assert await anext(shared) == StateChange("a", "s", b"1")
            a.state.set("x/2", b"short-lived")
            await settled(b, key="x/2", value=b"short-lived", of="a")
            a.state.delete("x/2")
            a.state.delete("x/1")
            a.state.set("x/3", b"three")
            await settled(b, key="x/3", value=b"three", of="a")
            assert await anext(changes) == StateChange("a", "x/1", None)
            assert await anext(changes) == StateChange("a", "x/3", b"three")


async def test_a_reader_that_sleeps_holds_one_entry_for_each_key(gossip_network):
    async with gossip_network.clusters("a") as (a,):
        with a.state.changes() as changes:
            for number in range(1000):
                a.state.set("counter", str(number).encode())
                a.state.set("gone", b"")
                a.state.delete("gone")
            assert await anext(changes) == StateChange("a", "counter", b"999")
            with trio.move_on_after(1) as scope:
                await anext(changes)
            assert scope.cancelled_caught


async def test_changes_end_with_the_cluster(gossip_network):
    async with gossip_network.clusters("a") as (a,):
        a.state.set("k", b"v")
        changes = a.state.changes()
    assert [change async for change in changes] == [StateChange("a", "k", b"v")]
    assert [change async for change in a.state.changes()] == [StateChange("a", "k", b"v")]
    with pytest.raises(LocalProtocolError, match="stopped"):
        a.state.set("k", b"v")


async def test_bad_input_gets_one_clear_line(gossip_network):
    async with gossip_network.clusters("a") as (a,):
        with pytest.raises(LocalProtocolError, match="1 to 256 bytes"):
            a.state.set("", b"")
        with pytest.raises(LocalProtocolError, match="65537 bytes is over the limit"):
            a.shared.set("k", bytes(65_537))
        with pytest.raises(TypeError, match="value must be bytes, not str"):
            a.state.set("k", "text")
        for call in (
            lambda: a.state.set(1, b""),
            lambda: a.state.get(b"k"),
            lambda: a.shared.items(None),
            lambda: a.state.changes(1),
            lambda: a.state.get("k", 3),
        ):
            with pytest.raises(TypeError, match="must be text"):
                call()
        for number in range(1024):
            a.state.set(f"k{number}", b"")
        with pytest.raises(LocalProtocolError, match="the limit is"):
            a.state.set("one more", b"")
        a.state.set("k0", b"replaced")
        a.state.delete("k1")


async def test_the_empty_name_stands_for_no_member(gossip_network):
    async with gossip_network.clusters("a") as (a,):
        a.state.set("k", b"v")
        a.shared.set("k", b"v")
        assert a.state.get("k", "") is None, "it stood for this one"
        assert a.state.items(member="") == []
        assert a.state.get("k", "nobody") is None


async def test_keys_that_are_no_text_or_too_long_are_not_there_and_not_written(gossip_network):
    async with gossip_network.clusters("a", "b") as (a, b):
        for key in ("", "x" * 257, "\N{EURO SIGN}" * 86, "\ud800"):
            for view in (a.state, a.shared):
                assert view.get(key) is None
                assert not view.delete(key)
                with pytest.raises(LocalProtocolError, match="1 to 256 bytes of UTF-8"):
                    view.set(key, b"")
        for value in (bytearray(b"v"), memoryview(b"v"), None, 1):
            with pytest.raises(TypeError, match="value must be bytes"):
                a.shared.set("k", value)
        for key in (Kind.ONE, "\N{EURO SIGN}" * 85, "\x00", "x" * 256):
            a.shared.set(key, b"v")
            await settled(b, key=str(key), value=b"v")


class Kind(StrEnum):
    ONE = "one"


async def test_who_has_left_reads_on_and_does_not_write(gossip_network):
    async with gossip_network.clusters("a", "b") as (a, b):
        a.state.set("k", b"v")
        await settled(b, key="k", value=b"v", of="a")
        await b.leave()
        for call in (lambda: b.shared.set("k", b"v"), lambda: b.shared.delete("k")):
            with pytest.raises(LocalProtocolError):
                call()
        assert b.state.get("k", "a") == b"v"
        assert not b.shared.items()


async def test_an_iteration_that_is_cancelled_has_taken_nothing(gossip_network):
    async with gossip_network.clusters("a") as (a,):
        with a.state.changes() as changes:
            a.state.set("k", b"1")
            with trio.CancelScope() as scope:
                scope.cancel()
                await anext(changes)
            assert await anext(changes) == StateChange("a", "k", b"1")
            with trio.move_on_after(1):
                await anext(changes)
            a.state.set("k", b"2")
            assert await anext(changes) == StateChange("a", "k", b"2")


async def test_an_iteration_that_is_closed_ends_for_all_who_wait(gossip_network):
    ended = []

    async def read(changes):
        ended.append([change async for change in changes])

    async with gossip_network.clusters("a") as (a,), trio.open_nursery() as nursery:
        changes = a.state.changes()
        for _ in range(2):
            nursery.start_soon(read, changes)
        await trio.sleep(1)
        a.state.set("k", b"1")
        await trio.sleep(1)
        changes.close()
        changes.close()
        a.state.set("k", b"2")
    assert sorted(map(len, ended)) == [0, 1]
