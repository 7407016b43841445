"""What befalls members: crash, restart, pause."""

from __future__ import annotations

import pytest
import trio

from trio_gossip import JoinError, LocalProtocolError, MemberState
from trio_gossip.testing.kit import wire


async def test_a_crashed_member_says_no_goodbye_and_is_gone_at_once(gossip_network):
    async with gossip_network.clusters("a", "b", "c") as (a, b, c):
        streams = gossip_network.statistics().streams_opened
        await gossip_network.crash("b")
        gossip_network.transport("b").receive_packets_nowait()  # its address is free
        assert gossip_network.running == ("a", "c")
        with pytest.raises(LocalProtocolError, match="stopped"):
            b.broadcast(b"x")
        sent = gossip_network.statistics().sent
        died = gossip_network.now
        assert (await a.wait_member("b", state="failed")).state is MemberState.FAILED
        await c.wait_member("b", state="failed")
        records = [record for record in gossip_network.trace if record[0] >= died]
        assert not [record for record in records if record[1:3] == ("send", "b")]
        assert "crash" in [record[4] for record in records if record[1:3] == ("fault", "b")]
    assert sent
    assert streams


async def test_a_restarted_member_comes_back_above_its_old_incarnation(gossip_network):
    async with gossip_network.clusters("a", "b", "c") as (a, b, _):
        before = a.member("b")
        await gossip_network.crash(b)
        await a.wait_member("b", state="failed")
        again = await gossip_network.restart("b")
        assert again is not b
        assert again is gossip_network.cluster_of("b")
        await gossip_network.wait_agreed()
        after = a.member("b")
        assert after.incarnation > before.incarnation
        assert after.address == before.address
        starts = [record[4] for record in gossip_network.trace if record[1:3] == ("start", "b")]
        assert starts == ["incarnation=1000", "incarnation=2000"]


async def test_a_restart_of_a_running_member_kills_it_first(gossip_network):
    async with gossip_network.clusters("a", "b") as (a, b):
        again = await gossip_network.restart("b")
        with pytest.raises(LocalProtocolError, match="stopped"):
            await b.ping("a")
        assert await again.ping("a") > 0
        assert gossip_network.injected == {"crash": 1, "restart": 1}
        assert [each.name for each in a.members()] == ["a", "b"]


async def test_a_member_that_lost_its_incarnation_has_to_outbid_its_past(gossip_network):
    async with gossip_network.clusters("a", "b", "c") as (a, _, __):
        await gossip_network.crash("b")
        await a.wait_member("b", state="failed")
        again = await gossip_network.restart("b", lost_incarnation=True)
        await gossip_network.wait_agreed()
        starts = [record[4] for record in gossip_network.trace if record[1:3] == ("start", "b")]
        assert starts == ["incarnation=1000", "incarnation=1"]
        assert again.local.incarnation > 1000


async def test_a_member_may_move_to_another_port_and_is_found_there_ever_after(gossip_network):
    async with gossip_network.clusters("a", "b") as (a, _):
        await gossip_network.restart("b", port=8000)
        await a.wait_member("b")
        assert str(gossip_network.address("b")) == "b:8000"
        await gossip_network.crash("b")
        again = await gossip_network.restart("b", join=["a"])
        assert again.local.address.port == 8000
        with gossip_network.isolate("b"):
            await a.wait_member("b", state="failed")


async def test_members_agree_when_they_know_each_other_as_they_are_now(gossip_network):
    async with gossip_network.clusters("a", "b", "c") as (a, _, c):
        with gossip_network.cut("b", "c"), gossip_network.cut("a", "c"):
            again = await gossip_network.restart("b", port=7950, join=["a"])
            assert c.member("b").address.port == 7946
            with pytest.raises(trio.TooSlowError) as caught:
                await gossip_network.wait_agreed("b", "c", within=0.5)
            assert "c sees b at b:7946 with incarnation 1000, and it is at b:7950 with 2000" in str(
                caught.value
            )
        await gossip_network.wait_agreed()
        for observer in (a, c):
            assert observer.member("b").address == again.local.address
            assert observer.member("b").incarnation == again.local.incarnation == 2000
        await gossip_network.restart("b", port=7951)
        await gossip_network.wait_agreed()
        assert [each.member("b").address.port for each in (a, c)] == [7951, 7951]


async def test_a_restart_that_reaches_nobody_says_so_and_goes_on_trying(gossip_network):
    async with gossip_network.clusters("a", "b") as (a, _):
        with gossip_network.isolate("b"):
            with pytest.raises(JoinError):
                await gossip_network.restart("b")
            await a.wait_member("b", state="failed")
        await gossip_network.wait_agreed("a", "b")
        alone = await gossip_network.restart("b", join=())
        assert [each.name for each in alone.members()] == ["b"]


async def test_a_paused_member_is_silent_and_then_does_everything_at_once(gossip_network):
    async with gossip_network.clusters("a", "b", "c") as (a, b, c):
        await gossip_network.run_for(3)
        with gossip_network.pause("b"):
            paused = gossip_network.now
            a.send("b", b"while you were away")
            with b.events() as events:
                await a.wait_member("b", state="failed")
                await c.wait_member("b", state="failed")
                during = list(gossip_network.trace)
        assert [m.state for m in b.members()] == ["alive"] * 3, "its own timers stood still"
        assert not [
            record
            for record in during
            if record[0] > paused and record[2] == "b" and record[1] != "fault"
        ]
        assert events is not None
        await gossip_network.run_for(0.001)
        resumed = gossip_network.now
        taken = [
            record
            for record in gossip_network.trace
            if record[0] >= resumed - 0.001 and record[1:3] == ("deliver", "b")
        ]
        assert len(taken) >= 3
        assert b.statistics().engine.stalls == 1
        await gossip_network.wait_agreed()
        assert gossip_network.injected == {"pause": 1, "resume": 1}


async def test_what_a_paused_member_is_made_to_send_leaves_when_it_goes_on(
    gossip_network, monkeypatch
):
    monkeypatch.setattr(wire, "HELD_PACKETS_MAX", 2)
    async with gossip_network.clusters("a", "b") as (a, b):
        gossip_network.pause(b)
        with a.events() as events:
            for number in range(5):
                b.send("a", b"%d" % number)
            await gossip_network.run_for(0.3)
            lost = [record[4] for record in gossip_network.trace if record[1] == "lose"]
            assert lost == ["too many held"] * 3
            gossip_network.resume(b)
            with trio.fail_after(0.01):
                got = [event.payload async for event, _ in _zip(events, 2)]
            assert got == [b"0", b"1"]
            with trio.move_on_after(0.1) as scope:
                await events.__anext__()
            assert scope.cancelled_caught


async def _zip(events, count):
    for number in range(count):
        yield await events.__anext__(), number


async def test_a_paused_member_takes_a_dial_and_answers_when_it_goes_on(gossip_network):
    async with gossip_network.clusters("a", "b") as (a, b):
        done = []

        async def send() -> None:
            await a.send_reliable("b", b"by stream")
            done.append(gossip_network.now)

        gossip_network.pause("b")
        with b.events() as events:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(send)
                await gossip_network.run_for(2)
                assert gossip_network.statistics().streams_opened >= 2
                assert not done
                gossip_network.resume("b")
            assert (await events.__anext__()).payload == b"by stream"
        assert done[0] == pytest.approx(gossip_network.now, abs=0.1)


async def test_a_paused_member_can_be_killed_and_started_and_the_block_can_end(gossip_network):
    async with gossip_network.clusters("a", "b", "c") as (a, b, _):
        with gossip_network.pause("b"):
            await gossip_network.run_for(2)
            await gossip_network.crash("b")
            await a.wait_member("b", state="failed")
        with pytest.raises(LocalProtocolError):
            await b.ping("a")
        await gossip_network.restart("b")
        await gossip_network.wait_agreed()
        gossip_network.pause("c")
        gossip_network.pause("b")
        gossip_network.resume("a")
        gossip_network.pause("b")
        await gossip_network.run_for(5)
    assert gossip_network.running == ()
    assert gossip_network.injected["pause"] == 3
    assert "resume" not in gossip_network.injected


async def test_a_restarted_member_does_not_wait_for_one_that_is_paused(gossip_network):
    async with gossip_network.clusters("a", "b", "c"):
        gossip_network.pause("c")
        before = gossip_network.now
        await gossip_network.restart("b")
        assert gossip_network.now < before + 1


async def test_who_does_not_run_cannot_be_harmed(gossip_network):
    async with gossip_network.clusters("a", "b") as (a, _):
        gossip_network.transport("host")
        with pytest.raises(ValueError, match="nobody here is called 'x'; there are a, b, host"):
            await gossip_network.crash("x")
        with pytest.raises(ValueError, match="no member called 'host' was started"):
            await gossip_network.restart("host")
        await gossip_network.crash("b")
        for call in (gossip_network.pause, gossip_network.cluster_of):
            with pytest.raises(ValueError, match="'b' does not run"):
                call("b")
        with pytest.raises(ValueError, match="'b' does not run"):
            await gossip_network.crash("b")
    with pytest.raises(ValueError, match="the block in which 'a' was started has ended"):
        await gossip_network.restart(a)
