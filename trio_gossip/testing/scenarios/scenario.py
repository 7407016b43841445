"""A run as data: :class:`Scenario`, checked when built, saved and loaded as JSON."""

from __future__ import annotations

import json
import stat
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import attrs

from trio_gossip.config import Config
from trio_gossip.engine.formulas import suspicion_minimum
from trio_gossip.errors import ConfigError
from trio_gossip.testing.checkers.expected import (
    attempt_seconds,
    graded_longest,
    heal_seconds,
    settle_seconds,
)
from trio_gossip.testing.scenarios.catalogue import KINDS
from trio_gossip.testing.scenarios.kind import Step
from trio_gossip.testing.scenarios.reading import (
    FORMAT,
    ScenarioError,
    check_types,
    read_values,
)
from trio_gossip.testing.simulation.arguments import is_finite, shown
from trio_gossip.testing.simulation.links import LinkFaults

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

NODES_MAX: Final = 10_000
"""Members that a scenario may begin with."""

STEPS_MAX: Final = 10_000
"""Steps of a scenario."""

SECONDS_LONGEST: Final = 1e6
"""Longest of a scenario's two durations: eleven days."""

FILE_BYTES_MAX: Final = 16 * 1024 * 1024
"""Longest file that is read as a scenario."""

SEED_END: Final = 2**64
"""Seeds are below it, as on the command line; and settings, so that they fit a line."""

PROFILES: Final = ("lan", "fast", "safe", "wan", "local")
"""Presets of :class:`~trio_gossip.Config` by name."""

REST_SECONDS: Final = 20.0
"""For which a cluster that has settled is watched further."""

AUTOMATIC: Final = -1.0
"""Calm seconds that stand for as many as are needed."""

_SETTABLE: Final = frozenset(
    field.name for field in attrs.fields(Config) if str(field.type) in ("int", "float", "bool")
)

_WORDS: Final = frozenset({"exchange", "detector"})
"""Settings that are words, and that a scenario may change; which words, the config knows."""


@attrs.frozen(kw_only=True, slots=False)
class Scenario:
    """Everything that decides a run, beside the version of this library.

    Attributes:
        seed: of all chance; from 0 to 2^64 - 1.
        nodes: members at the start: ``n00``, ``n01``...
        seconds: for how long steps may happen, after the cluster has formed.
        calm: seconds without any fault after that; by default :meth:`calm_needed`.
        profile: ``lan``, ``fast``, ``safe``, ``wan`` or ``local``.
        config: changes of the profile; numbers, truth values, ``exchange`` and ``detector`` only.
        links: what all links do until the calm.
        sealed: True for a cluster whose packets and streams are sealed.
        steps: in the order of their times.
        about: for people: what it shows, or what went wrong.

    Raises:
        ScenarioError: it cannot be played.
    """

    seed: int
    nodes: int = 5
    seconds: float = 30.0
    calm: float = AUTOMATIC
    profile: str = "lan"
    config: Mapping[str, bool | int | float | str] = attrs.field(
        factory=dict[str, "bool | int | float | str"]
    )
    links: LinkFaults = attrs.field(factory=LinkFaults)
    sealed: bool = False
    steps: tuple[Step, ...] = ()
    about: str = ""

    def __attrs_post_init__(self) -> None:
        check_types(self)
        fault = self._fault()
        if fault is not None:
            raise ScenarioError(fault)
        if self.calm == AUTOMATIC:
            needed = self.calm_needed()
            if needed > SECONDS_LONGEST:
                raise ScenarioError(f"config: a calm of {needed:g} s would be needed, too long")
            object.__setattr__(self, "calm", self.calm_needed())

    # -- checking -----------------------------------------------------------------------

    def _fault(self) -> str | None:
        """Why it cannot be played, on one line."""
        if not 0 <= self.seed < SEED_END:
            return f"seed must be from 0 to 2^64 - 1, not {shown(self.seed)}"
        if not (type(self.nodes) is int and 1 <= self.nodes <= NODES_MAX):
            return f"nodes must be from 1 to {NODES_MAX}, not {shown(self.nodes)}"
        for name in ("seconds", "calm"):
            value = getattr(self, name)
            automatic = name == "calm" and value == AUTOMATIC
            if not automatic and not 0.0 <= value <= SECONDS_LONGEST:
                return f"{name} must be from 0 to {SECONDS_LONGEST:g}, not {shown(value)}"
        if len(self.steps) > STEPS_MAX:
            return f"{len(self.steps)} steps, at most {STEPS_MAX} are allowed"
        return self._config_fault() or self._steps_fault()

    def _config_fault(self) -> str | None:
        if self.profile not in PROFILES:
            return f"profile must be one of {', '.join(PROFILES)}, not {shown(self.profile)}"
        for name, setting in self.config.items():
            if name in _WORDS and isinstance(setting, str):
                continue
            if name not in _SETTABLE:
                return f"config: {shown(name)} is no setting that a scenario can change"
            if type(setting) is bool:
                continue
            if isinstance(setting, str) or not (is_finite(setting) and abs(setting) < SEED_END):
                return f"config: {name} must be a number below 2^64, not {shown(setting)}"
        try:
            self.config_of("n00")
        except ConfigError as error:
            return f"config: {error}"
        return None

    def _steps_fault(self) -> str | None:
        known = set(self.names)
        before = 0.0
        for number, step in enumerate(self.steps, 1):
            kind = KINDS.get(step.kind)
            if kind is None:
                return f"step {number}: there is no such kind of step: {shown(step.kind)}"
            where = f"step {number} ({step.kind} at {shown(step.at)} s)"
            if not 0.0 <= step.at <= self.seconds:
                return f"{where}: not within the {self.seconds:g} s of faults"
            if step.at < before:
                return f"{where}: comes before the step above it"
            before = step.at
            for name in step.names:
                if name not in known:
                    return f"{where}: there is no member {shown(name)} among the {self.nodes}"
            fault = kind.fault_of(step)
            if fault is not None:
                return f"{where}: {fault}"
        return None

    # -- what follows from it -----------------------------------------------------------

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The members at the start, in order."""
        return tuple(f"n{number:02}" for number in range(self.nodes))

    @property
    def is_gentle(self) -> bool:
        """True when nothing in it excuses a detector that errs."""
        return all(KINDS[step.kind].is_mild for step in self.steps)

    def config_of(self, name: str) -> Config:
        """The settings of a member."""
        preset = getattr(Config, self.profile)
        config: Config = preset(name=name, **self.config)
        return config

    def excuse_seconds(self) -> float:
        """How long after a grave fault the detector may still err: what was suspected before
        goes on to its end, a probe may be stretched, and the news takes a moment.
        """
        config = self.config_of("n00")
        if config.detector == "evidence":
            return graded_longest(config) + config.quiet + 4 * attempt_seconds(config)
        longest = (
            suspicion_minimum(config.suspicion_mult, self._most_members(), config.probe_interval)
            * config.suspicion_max_timeout_mult
        )
        return longest + (config.awareness_max + 4) * config.probe_interval

    def calm_needed(self) -> float:
        """Seconds after which a cluster agrees again, unless parts of it lost each other: everybody
        finds out alone who is gone, or exchanges tables with two random members. And some seconds
        more, in which it has to stay so and to fall silent.
        """
        return round(settle_seconds(self.config_of("n00"), self._most_members()) + REST_SECONDS, 3)

    def patience(self) -> float:
        """Seconds for which a cluster that does not agree after its calm is watched further: parts
        that lost each other are for chance to bring together.
        """
        config = self.config_of("n00")
        return heal_seconds(config) + settle_seconds(config, self._most_members())

    def _most_members(self) -> int:
        """Members that it has at most, with those of storms."""
        storms = (step.amount for step in self.steps if step.kind == "join-storm")
        return self.nodes + int(sum(storms))

    # -- as a file ----------------------------------------------------------------------

    def to_json(self) -> str:
        """As text; what is left at its default is left out."""
        plain = LinkFaults()
        links = {
            name: value
            for name, value in attrs.asdict(self.links).items()
            if value != getattr(plain, name)
        }
        document = {
            "scenario": FORMAT,
            "about": self.about,
            "seed": self.seed,
            "nodes": self.nodes,
            "seconds": self.seconds,
            "calm": self.calm,
            "profile": self.profile,
            "config": dict(self.config),
            "links": links,
        }
        if self.sealed:
            document["sealed"] = True
        head = json.dumps(document, indent=1)[:-2]
        steps = ",\n  ".join(json.dumps(attrs.asdict(step)) for step in self.steps)
        return f'{head},\n "steps": [\n  {steps}\n ]\n}}\n'

    @classmethod
    def from_json(cls, text: str | bytes) -> Scenario:
        """Read what :meth:`to_json` wrote.

        Raises:
            ScenarioError: it is no scenario, or one that cannot be played.
        """
        values = read_values(text)
        unknown = sorted(set(values) - {field.name for field in attrs.fields(cls)})
        if unknown:
            raise ScenarioError(f"nobody knows what {shown(unknown[0])} means")
        return cls(**values)

    def save(self, path: str | PathLike[str]) -> None:
        """Write it to a file."""
        Path(path).write_text(self.to_json())

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Scenario:
        """Read it from a file.

        Raises:
            ScenarioError: the file cannot be read, or holds no scenario that can be played.
        """
        try:
            text = _content(Path(path))
        except OSError as error:
            raise ScenarioError(f"{path}: {error.strerror}") from None
        except ValueError as error:  # a path that cannot be, or a file that is no scenario
            raise ScenarioError(f"{path}: {error}") from None
        try:
            return cls.from_json(text)
        except ScenarioError as error:
            raise ScenarioError(f"{path}: {error}") from None


def _content(path: Path) -> bytes:
    """All of a file. A device may have no end, and a pipe may never begin: neither is opened."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ScenarioError("not a regular file, but a directory, a device or a pipe")
    with path.open("rb") as file:
        text = file.read(FILE_BYTES_MAX + 1)  # its size may be a lie, as of files in /proc
    if len(text) > FILE_BYTES_MAX:
        raise ScenarioError(f"larger than {FILE_BYTES_MAX} bytes")
    return text
