"""What befalls the hosts of a simulation: processes that stop, crawl, or have a wrong clock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trio_gossip.testing.simulation.arguments import check_rate, check_seconds

if TYPE_CHECKING:
    from trio_gossip.testing.simulation.befallen import Befallen
    from trio_gossip.testing.simulation.process import Process
    from trio_gossip.testing.simulation.runtime import Runtime


class Hosts:
    """The part of :class:`~trio_gossip.testing.Simulation` that makes running processes suffer."""

    processes: dict[str, Process]
    """The running ones."""
    _runtime: Runtime
    befallen: Befallen
    """What befell whom, and when."""

    def pause(self, name: str) -> None:
        """Stop a process as by SIGSTOP: packets wait, timers will be late."""
        self._running(name).paused = True
        self.befallen.begins("paused", name)
        self._runtime.note("fault", name, "", "paused")

    def resume(self, name: str) -> None:
        """Let a paused process go on: first it gets what waited, then its timers run."""
        self._runtime.note("fault", name, "", "resumed")
        self.befallen.ends("paused", name)
        self._runtime.resume(self._running(name))

    def slow(self, name: str, turn_seconds: float, *, inbox_limit: int | None = None) -> None:
        """Let each turn of a process take a time; 0.0 makes it fast again.

        Raises:
            ValueError: the time is negative, or the process is not running.
        """
        check_seconds("turn_seconds", turn_seconds)
        process = self._running(name)
        process.turn_seconds = turn_seconds
        if turn_seconds:
            self.befallen.begins("slow", name)
        else:
            self.befallen.ends("slow", name)
        if inbox_limit is not None:
            process.inbox_limit = inbox_limit
        self._runtime.note("fault", name, "", f"a turn takes {turn_seconds} s")

    def skew(self, name: str, *, rate: float | None = None, jump: float = 0.0) -> None:
        """Let a process's monotonic clock run at another rate, or jump forward by seconds.

        Raises:
            ValueError: the clock would stand still or run backwards, or nobody has that name.
        """
        check_seconds("jump", jump)
        check_rate(rate)
        process = self._running(name)
        self.befallen.begins("skewed", name)
        process.set_clock(self._runtime.schedule.now, rate=rate, jump=jump)
        self._runtime.note("fault", name, "", f"clock rate {rate} jump {jump}")
        process.wake_at = float("inf")
        self._runtime.wake(process)

    def _running(self, name: str) -> Process:
        process = self.processes.get(name)
        if process is None:
            raise ValueError(f"{name} is not running")
        return process
