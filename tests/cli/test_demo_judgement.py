"""The demo believes only what the agents print: canned lines, and virtual time."""

from __future__ import annotations

import io

import pytest
import trio

from tests.cli.plays import Lines, Play, line, play, problems
from trio_gossip.cli.demo import LIMITS, Demo
from trio_gossip.cli.phases import ENDED, Detection, Seen


async def test_a_demo_in_which_all_is_seen_passes(autojump_clock):
    passed, objects, actors = await play()
    assert passed
    assert problems(objects) == []
    assert actors.calls == [
        ("start", "node-1"),
        ("start", "node-2"),
        ("start", "node-3"),
        ("kill", "node-2"),
        ("start", "node-2"),
        ("terminate", "node-3"),
    ]
    summary = objects[-1]
    assert (summary["step"], summary["passed"], summary["problems"]) == ("summary", True, [])
    assert len(summary["measured"]) == 8
    steps = [each["step"] for each in objects]
    assert steps.count("phase") == 4
    assert {"started", "sees_all", "suspected", "failed", "returned", "left", "ended"} < {*steps}


MISSING = [
    (line("node-1", "started"), "node-1 started"),
    (line("node-3", "started"), "node-3 started"),
    (line("node-1", "member_joined", "node-2", 1), "node-1 sees node-2"),
    (line("node-3", "member_joined", "node-2", 1), "node-3 sees node-2"),
    (line("node-1", "member_suspected"), "somebody suspects node-2"),
    (line("node-1", "member_failed"), "node-1 declares node-2 failed"),
    (line("node-3", "member_failed"), "node-3 declares node-2 failed"),
    (line("node-2", "started", life=2), "node-2 started again"),
    (line("node-1", "member_joined", "node-2", 2), "node-1 takes node-2 back"),
    (line("node-3", "member_joined", "node-2", 2), "node-3 takes node-2 back"),
    (line("node-1", "member_left"), "node-1 sees node-3 leave"),
    (line("node-2", "member_left"), "node-2 sees node-3 leave"),
    (line("node-3", ENDED), "the process of node-3 ends"),
]


@pytest.mark.parametrize(("keep_back", "words"), MISSING, ids=[words for _, words in MISSING])
async def test_a_demo_in_which_one_line_is_missing_fails_and_names_it(
    autojump_clock, keep_back, words
):
    passed, objects, _ = await play(keep_back)
    assert not passed
    assert words in " | ".join(problems(objects))
    assert objects[-1]["passed"] is False
    assert trio.current_time() <= 60  # virtual seconds; the clock starts at 0


async def test_a_returned_member_that_does_not_see_the_others_fails(autojump_clock):
    def keep_back(seen: Seen) -> bool:
        return line("node-2", "member_joined", "node-3")(seen) and bool(back)

    back: list[str] = []

    class Forgetful(Play):
        async def kill(self, name: str) -> None:
            await super().kill(name)
            back.append(name)

    passed, objects, _ = await play(keep_back, Forgetful)
    assert not passed
    assert problems(objects) == ["not observed within 9 s: node-2 sees node-3"]


async def test_a_member_that_left_and_is_called_failed_fails_the_demo(autojump_clock):
    class Rude(Play):
        def terminate(self, name: str) -> None:
            self.say("node-1", "member_failed", name, reason="suspicion_expired")
            super().terminate(name)

    passed, objects, _ = await play(play_class=Rude)
    assert not passed
    assert "node-1 declared node-3 failed, which said goodbye" in problems(objects)


async def test_a_leaver_that_ends_with_another_code_fails_the_demo(autojump_clock):
    class Crashing(Play):
        def terminate(self, name: str) -> None:
            self.say(name, ENDED, code=1)
            super().terminate(name)

    passed, objects, _ = await play(play_class=Crashing)
    assert not passed
    assert problems(objects) == ["node-3 ended with code 1 and not 0"]


async def test_an_agent_that_ends_by_itself_fails_the_demo_at_once(autojump_clock):
    class Broken(Play):
        async def start(self, name: str, seeds=()) -> None:
            self.say(name, "note", text="cannot bind")
            self.say(name, ENDED, code=2)

    passed, objects, _ = await play(play_class=Broken)
    assert not passed
    assert problems(objects) == ["node-1 ended by itself with code 2"]
    assert "cannot bind" in [each.get("text") for each in objects if each["step"] == "note"]
    assert trio.current_time() < LIMITS["lan"].gather


async def test_a_living_member_that_is_declared_failed_fails_the_demo(autojump_clock):
    class Mistaken(Play):
        async def kill(self, name: str) -> None:
            self.say("node-1", "member_failed", "node-3", reason="suspicion_expired")
            await super().kill(name)

    passed, objects, _ = await play(play_class=Mistaken)
    assert not passed
    assert problems(objects) == ["node-1 declared node-3 failed, which is alive"]


def test_news_of_the_first_life_is_not_the_return():
    from trio_gossip.cli.phases import Return

    phase = Return("b", ["a"], incarnation=5)
    old = {"event": "member_joined", "member": {"name": "b", "incarnation": 5}}
    assert phase.take(Seen("a", 1.0, old)) is None
    assert "a takes b back" in phase.missing


def test_the_words_of_the_killed_process_do_not_count():
    phase = Detection("b", ["a", "c"])
    event = {"event": "member_failed", "member": {"name": "b"}, "accusers": ["b", "x"]}
    phase.take(Seen("b", 1.0, event))
    assert phase.failed == {}
    assert phase.probed == {}


def test_the_limits_of_the_lan_profile_are_a_minute_together():
    limits = LIMITS["lan"]
    assert limits.gather + limits.detect + limits.come_back + limits.leave <= 60


async def test_without_a_terminal_there_is_no_colour_and_every_line_is_whole(
    autojump_clock, monkeypatch
):
    from trio_gossip.cli.report import TextReport

    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))

    class Text(Lines):
        async def write_line(self, line: str) -> None:
            text.append(line)

    text: list[str] = []
    report = TextReport(Text(), trio.current_time)  # type: ignore[arg-type]  # a double
    actors = Play(line("node-1", "member_left"))
    demo = Demo(
        actors,
        actors.seen,
        report,
        elapsed=trio.current_time,
        nodes=3,
        limits=LIMITS["lan"],
    )
    await demo.run()
    await report.note(Seen("node-1", 1.0, {"event": "note", "text": "x" * 200 + "\x1b[2J"}))
    await report.end(passed=False, nodes=3, profile="lan")
    whole = "\n".join(text)
    assert whole.isascii()  # the terminal said that it can show nothing else
    assert "\x1b" not in whole
    assert "   1.00 s  node-1 writes: " + "x" * 200 in whole
    assert "node-1 suspects node-2: no answer (tried: direct, stream)" in whole
    assert "not observed within 9 s: node-1 sees node-3 leave" in whole
    assert "kill until failed for every survivor" in whole
    assert text[-1] == "The demo did not succeed; see above."
