"""A cluster for the demo that is only canned lines, in virtual time."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import trio

from trio_gossip.cli.demo import LIMITS, Demo
from trio_gossip.cli.phases import ENDED, Seen
from trio_gossip.cli.report import JsonReport

NAMES = ["node-1", "node-2", "node-3"]
VICTIM, LEAVER = "node-2", "node-3"


class Lines:
    """Stands for standard output."""

    failure = None

    def __init__(self) -> None:
        self.objects: list[dict[str, Any]] = []

    async def write_line(self, line: str) -> None:
        self.objects.append(json.loads(line))


class Play:
    """Agents that print what agents print, but for the lines that a test keeps back or adds."""

    def __init__(self, keep_back: Callable[[Seen], bool]) -> None:
        self._send, self.seen = trio.open_memory_channel[Seen](math.inf)
        self._keep_back = keep_back
        self._lives = dict.fromkeys(NAMES, 0)
        self.calls: list[tuple[str, str]] = []

    def say(self, observer: str, event: str, subject: str = "", **fields: Any) -> None:
        if subject:
            life = self._lives[subject]
            address = f"127.0.0.1:{7000 + life}"
            fields["member"] = {"name": subject, "incarnation": life, "address": address}
        seen = Seen(observer, trio.current_time(), {"event": event, **fields})
        if not self._keep_back(seen):
            self._send.send_nowait(seen)

    async def start(self, name: str, seeds=()) -> None:
        self.calls.append(("start", name))
        self._lives[name] += 1
        self.say(name, "started", name, address=f"127.0.0.1:{self._lives[name]}")
        if name == NAMES[0]:
            return
        assert seeds == [f"127.0.0.1:{self._lives[NAMES[0]]}"]
        for other in NAMES:
            if other != name and self._lives[other]:
                self.say(other, "member_joined", name)
                self.say(name, "member_joined", other)

    async def kill(self, name: str) -> None:
        self.calls.append(("kill", name))
        self.say(name, ENDED, code=-9)
        by = {"accusers": ["node-1"], "tried": ["direct", "stream"]}
        self.say("node-1", "member_suspected", name, reason="probe_failed", **by)
        self.say("node-3", "member_suspected", name, reason="accused", accusers=["node-1"])
        both = ["node-1", "node-3"]
        self.say("node-1", "member_failed", name, reason="suspicion_expired", accusers=both)
        self.say("node-3", "member_failed", name, reason="reported", accusers=both)

    def terminate(self, name: str) -> None:
        self.calls.append(("terminate", name))
        for other in NAMES:
            if other != name:
                self.say(other, "member_left", name, reason="goodbye")
        self.say(name, ENDED, code=0)


def nothing(_: Seen) -> bool:
    return False


async def play(
    keep_back: Callable[[Seen], bool] = nothing, play_class: type[Play] = Play
) -> tuple[bool, list[dict[str, Any]], Play]:
    lines = Lines()
    report = JsonReport(lines, trio.current_time)  # type: ignore[arg-type]  # a double
    actors = play_class(keep_back)
    demo = Demo(
        actors,
        actors.seen,
        report,
        elapsed=trio.current_time,
        nodes=3,
        limits=LIMITS["lan"],
    )
    passed = await demo.run()
    await report.end(passed=passed, nodes=3, profile="lan")
    return passed, lines.objects, actors


def problems(objects: list[dict[str, Any]]) -> list[str]:
    return [each["text"] for each in objects if each["step"] == "problem"]


def line(observer: str, event: str, subject: str | None = None, life: int | None = None):
    """Recognises one line of the play."""

    def matches(seen: Seen) -> bool:
        return (
            seen.observer == observer
            and seen.kind == event
            and subject in (None, seen.subject)
            and life in (None, seen.event.get("member", {}).get("incarnation"))
        )

    return matches
