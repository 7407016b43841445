"""Who suspected, who confirmed and who only heard of it: the demo tells them apart."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from tests.cli.plays import Play, play
from trio_gossip.cli.phases import Seen


async def test_a_suspicion_that_nobody_shares_is_shown_as_it_is(autojump_clock):
    """With three agents it may run out before the other one's probe fails."""

    class Alone(Play):
        async def kill(self, name: str) -> None:
            by = {"accusers": ["node-1"]}
            self.say("node-1", "member_suspected", name, reason="probe_failed", **by)
            self.say("node-1", "member_failed", name, reason="suspicion_expired", **by)
            self.say("node-3", "member_failed", name, reason="reported", **by)

    passed, objects, _ = await play(play_class=Alone)
    assert passed
    assert [each["text"] for each in objects if each["step"] == "failed"] == [
        "node-1 declares node-2 failed: it did not refute in time; suspected by node-1",
        "node-3 hears that node-2 was declared failed; suspected by node-1",
    ]


async def test_what_was_only_heard_is_no_confirmation(autojump_clock):
    """The demo once said "node-3 suspects node-2 too" of one that repeated node-1's word."""
    passed, objects, _ = await play()
    assert passed
    assert [each["text"] for each in objects if each["step"] == "suspected"] == [
        "node-1 suspects node-2: no answer (tried: direct, stream)",
        "node-3 hears that node-1 suspects node-2",
    ]
    assert "kill until a second one's probe failed" not in objects[-1]["measured"]
    failed = [each["text"] for each in objects if each["step"] == "failed"]
    assert all("suspected by node-1, confirmed by node-3" in text for text in failed)


async def test_a_second_probe_that_fails_is_a_confirmation(autojump_clock):
    class Both(Play):
        async def kill(self, name: str) -> None:
            await trio.sleep(1)
            self.say("node-1", "member_suspected", name, reason="probe_failed")
            await trio.sleep(1)
            self.say("node-3", "member_suspected", name, reason="probe_failed")
            await super().kill(name)

    passed, objects, _ = await play(play_class=Both)
    assert passed
    texts = [each["text"] for each in objects if each["step"] == "suspected"]
    assert texts[1] == "node-3 suspects node-2 too: no answer (tried: directly)"
    measured = objects[-1]["measured"]
    assert measured["kill until first suspicion"] == pytest.approx(1)
    assert measured["kill until a second one's probe failed"] == pytest.approx(2)


async def test_lines_are_shown_in_the_order_of_their_own_times(autojump_clock):
    """One agent's pipe was once read first, and its hearsay shown before what it had heard."""

    class Late(Play):
        async def kill(self, name: str) -> None:
            heard = Seen("node-3", trio.current_time() + 0.01, self.event(name, "accused"))
            first = Seen("node-1", trio.current_time(), self.event(name, "probe_failed"))
            self._send.send_nowait(heard)
            self._send.send_nowait(first)
            await super().kill(name)

        def event(self, name: str, reason: str) -> dict[str, Any]:
            return {"event": "member_suspected", "member": {"name": name}, "reason": reason}

    _, objects, _ = await play(play_class=Late)
    suspected = [each for each in objects if each["step"] == "suspected"]
    assert suspected[0]["observer"] == "node-1"
    times = [each["elapsed"] for each in suspected]
    assert times == sorted(times)
