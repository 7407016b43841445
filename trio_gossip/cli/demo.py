"""``trio-gossip demo``: a cluster of real processes forms, loses a member and takes it back."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import attrs
import trio

from trio_gossip.cli.children import NOTE, Children
from trio_gossip.cli.order import HOLD_SECONDS, InOrder, OwnTimes
from trio_gossip.cli.output import LineOutput, standard_descriptor
from trio_gossip.cli.phases import Detection, Gathering, Leaving, Phase, Remark, Return, Seen
from trio_gossip.cli.problems import EXIT_DONE, EXIT_FAILED
from trio_gossip.cli.report import JsonReport, Report, TextReport
from trio_gossip.cli.signals import Stop
from trio_gossip.unwrapping import raise_unwrapped


@attrs.frozen
class Limits:
    """Seconds that each phase may take. Many times what it does take, since the machine may be
    slow, and together at most a minute for three agents of the LAN profile.

    The local profile sends each message so few times that gossip alone may miss a member; the
    next full exchange, at most 15 s later, then tells it.
    """

    gather: float
    detect: float
    come_back: float
    leave: float


LIMITS: Final[Mapping[str, Limits]] = {
    "lan": Limits(15.0, 27.0, 9.0, 9.0),
    "fast": Limits(15.0, 27.0, 9.0, 9.0),
    "safe": Limits(15.0, 27.0, 9.0, 9.0),
    "wan": Limits(30.0, 240.0, 60.0, 30.0),
    "local": Limits(40.0, 40.0, 40.0, 40.0),
}

GATHER_SECONDS_PER_NODE: Final = 1.0
"""Added for every agent above three: starting Python takes its time on a small machine."""


class Actors(Protocol):
    """What the demo does to its agents; :class:`Children`, or a script in tests."""

    async def start(self, name: str, seeds: Sequence[str] = ()) -> None:
        """Start an agent."""

    async def kill(self, name: str) -> None:
        """Kill it without warning."""

    def terminate(self, name: str) -> None:
        """Ask it to leave."""


async def run_demo(nodes: int, profile: str, as_json: bool) -> int:
    """Run the demo on real processes; returns the exit code.

    Args:
        nodes: how many agents, at least three.
        profile: of every agent.
        as_json: print objects instead of text.
    """
    stop = Stop()
    output = LineOutput(standard_descriptor(1), stop.ask)
    began = trio.current_time()

    def elapsed() -> float:
        return trio.current_time() - began

    report: Report = JsonReport(output, elapsed) if as_json else TextReport(output, elapsed)
    send, receive = trio.open_memory_channel[Seen](math.inf)

    own_times = OwnTimes(elapsed)

    def notice(name: str, event: dict[str, Any]) -> None:
        send.send_nowait(Seen(name, own_times.at(name, event), event))

    passed = False
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(stop.watch_signals, nursery.cancel_scope)
            with stop.interruptible():
                children = Children(nursery, profile, notice)
                demo = Demo(
                    children,
                    receive,
                    report,
                    elapsed=elapsed,
                    nodes=nodes,
                    limits=LIMITS[profile],
                )
                passed = await demo.run()
            # Every process is a task of this nursery: it is killed and awaited.
            nursery.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise_unwrapped(group)
    if stop.asked.is_set() and not passed:
        await report.problem("interrupted; all agents were ended")
    await report.end(passed=passed, nodes=nodes, profile=profile)
    output.log_failure()
    return EXIT_DONE if passed and output.failure is None else EXIT_FAILED


class Demo:
    """The script: four phases, each with what it does, what must be seen and what is measured."""

    def __init__(
        self,
        actors: Actors,
        seen: trio.MemoryReceiveChannel[Seen],
        report: Report,
        *,
        elapsed: Callable[[], float],
        nodes: int,
        limits: Limits,
    ) -> None:
        """Args:
        actors: starts and ends the agents.
        seen: what the agents print.
        report: where to say it.
        elapsed: seconds since the demo began, the clock of ``seen``.
        nodes: how many agents, at least three.
        limits: of each phase.
        """
        self._actors = actors
        self._seen = InOrder(seen, elapsed)
        self._report = report
        self._elapsed = elapsed
        self._names = [f"node-{number}" for number in range(1, nodes + 1)]
        self._limits = limits

    async def run(self) -> bool:
        """Play it to its end or to the first phase that was not observed; True when all were."""
        seed, victim, leaver = self._names[:3]
        gathering = Gathering(self._names)
        if not await self._gather(gathering, seed):
            return False
        first_life = gathering.started[victim].event["member"]["incarnation"]
        seed_address = str(gathering.started[seed].event["address"])
        return (
            await self._lose(victim)
            and await self._take_back(victim, seed_address, first_life)
            and await self._let_go(leaver)
        )

    async def _gather(self, phase: Gathering, seed: str) -> bool:
        others = self._names[1:]
        await self._report.chapter(
            "A cluster forms",
            f"{len(self._names)} agents start, each a process of its own. {seed} is first; the"
            f" others know only its address and learn of each other from it.",
        )
        began = self._elapsed()
        limit = self._limits.gather + GATHER_SECONDS_PER_NODE * (len(self._names) - 3)
        deadline = trio.current_time() + limit
        await self._actors.start(seed)
        await self._watch(phase, deadline, lambda: seed in phase.started)
        if seed not in phase.started or phase.wrong:
            return await self._judge(phase, limit)
        address = str(phase.started[seed].event["address"])
        for name in others:
            await self._actors.start(name, [address])
        await self._watch(phase, deadline)
        if not await self._judge(phase, limit):
            return False
        last = max(phase.sees_all.values())
        listening = max(seen.at for seen in phase.started.values())
        await self._report.measured("start of the first process until all see all", last - began)
        await self._report.measured("last agent listening until all see all", last - listening)
        return True

    async def _lose(self, victim: str) -> bool:
        survivors = [name for name in self._names if name != victim]
        await self._report.chapter(
            "One dies",
            f"{victim} is killed with SIGKILL: it can tell nobody. The others notice that it does"
            f" not answer, suspect it, and give it time to object before they declare it failed.",
        )
        phase = Detection(victim, survivors)
        killed = self._elapsed()
        await self._actors.kill(victim)
        limit = self._limits.detect
        await self._watch(phase, trio.current_time() + limit)
        if not await self._judge(phase, limit):
            return False
        first, *more = sorted(phase.probed.values())
        await self._report.measured("kill until first suspicion", first - killed)
        if more:  # one that only joins a suspicion prints nothing at that moment
            await self._report.measured("kill until a second one's probe failed", more[0] - killed)
        for what, at in (
            ("kill until first declared failed", min(phase.failed.values())),
            ("kill until failed for every survivor", max(phase.failed.values())),
        ):
            await self._report.measured(what, at - killed)
        return True

    async def _take_back(self, victim: str, seed_address: str, first_life: int) -> bool:
        others = [name for name in self._names if name != victim]
        await self._report.chapter(
            "It comes back",
            f"{victim} is started again, under the same name and at another port. Its incarnation"
            f" is higher than before, so that nobody mistakes old news of its death for new.",
        )
        phase = Return(victim, others, first_life)
        began = self._elapsed()
        await self._actors.start(victim, [seed_address])
        limit = self._limits.come_back
        await self._watch(phase, trio.current_time() + limit)
        if not await self._judge(phase, limit):
            return False
        last = max(phase.back.values())
        assert phase.listening is not None
        await self._report.measured("restart until alive for every other", last - began)
        await self._report.measured(
            "listening again until alive for every other", last - phase.listening
        )
        return True

    async def _let_go(self, leaver: str) -> bool:
        others = [name for name in self._names if name != leaver]
        await self._report.chapter(
            "One leaves",
            f"{leaver} gets SIGTERM and says goodbye before it ends. The others see it as left at"
            f" once: nobody has to suspect it, and no alarm is raised.",
        )
        phase = Leaving(leaver, others)
        asked = self._elapsed()
        self._actors.terminate(leaver)
        limit = self._limits.leave
        await self._watch(phase, trio.current_time() + limit)
        if not await self._judge(phase, limit):
            return False
        await self._report.measured(
            "SIGTERM until left for every other", max(phase.left.values()) - asked
        )
        return True

    async def _watch(
        self, phase: Phase, deadline: float, enough: Callable[[], bool] | None = None
    ) -> None:
        """Feed a phase until it is complete or wrong, until ``enough`` or the deadline.

        With ``enough`` the next step waits for one agent alone, so that there is no order to keep.
        """
        hold = HOLD_SECONDS if enough is None else 0.0
        with trio.move_on_at(deadline):
            while phase.missing and not phase.wrong and not (enough is not None and enough()):
                seen = await self._seen.receive(hold)
                if seen.kind == NOTE:
                    await self._report.note(seen)
                    continue
                remark: Remark | None = phase.take(seen)
                if remark is not None:
                    await self._report.remark(remark)

    async def _judge(self, phase: Phase, limit: float) -> bool:
        """Say what is wrong or missing; True when nothing is."""
        for wrong in phase.wrong:
            await self._report.problem(wrong)
        if not phase.wrong:
            for missing in phase.missing:
                await self._report.problem(f"not observed within {limit:g} s: {missing}")
        return phase.complete
