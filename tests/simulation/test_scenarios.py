"""Scenarios as data: what is refused, and what a file brings back."""

from __future__ import annotations

import io
import json
import os

import attrs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trio_gossip.testing import LinkFaults
from trio_gossip.testing.scenarios.catalogue import KINDS
from trio_gossip.testing.scenarios.kind import Step
from trio_gossip.testing.scenarios.reading import ScenarioError
from trio_gossip.testing.scenarios.scenario import FILE_BYTES_MAX, SEED_END, Scenario


def numbers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False).map(lambda value: min(max(value, low), high))


@st.composite
def steps(draw: st.DrawFn, names: tuple[str, ...], seconds: float) -> Step:
    least_of = {name: kind.names[0] for name, kind in KINDS.items()}
    kind = KINDS[draw(st.sampled_from([name for name in KINDS if least_of[name] <= len(names)]))]
    least, most = kind.names
    chosen = draw(
        st.lists(
            st.sampled_from(names), min_size=least, max_size=min(most, len(names)), unique=True
        )
    )
    amount = draw(numbers(kind.amount.low, kind.amount.high))
    return Step(
        at=draw(numbers(0.0, seconds)),
        kind=kind.name,
        names=tuple(chosen),
        amount=float(round(amount)) if kind.counts else amount,
        seconds=draw(numbers(kind.seconds.low, kind.seconds.high)),
    )


@st.composite
def scenarios(draw: st.DrawFn) -> Scenario:
    nodes = draw(st.integers(1, 30))
    names = tuple(f"n{number:02}" for number in range(nodes))
    seconds = draw(numbers(0.0, 1000.0))
    share = numbers(0.0, 1.0)
    return Scenario(
        seed=draw(st.integers(0, SEED_END - 1)),
        nodes=nodes,
        seconds=seconds,
        calm=draw(st.just(-1.0) | numbers(0.0, 1000.0)),
        profile=draw(st.sampled_from(("lan", "wan", "local"))),
        config=draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "gossip_nodes": st.integers(1, 64),
                    "reap_time": numbers(60.0, 100.0),
                    "stream_pings": st.booleans(),
                },
            )
        ),
        links=LinkFaults(
            latency=draw(st.tuples(numbers(0.0, 1.0), numbers(1.0, 2.0))),
            loss=draw(share),
            tail=draw(share),
            mtu=draw(st.integers(0, 2000)),
        ),
        steps=tuple(
            sorted(draw(st.lists(steps(names, seconds), max_size=8)), key=lambda step: step.at)
        ),
        about=draw(st.text(max_size=20)),
    )


@given(scenarios())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_written_is_read_back(scenario: Scenario) -> None:
    assert Scenario.from_json(scenario.to_json()) == scenario


def test_a_file_holds_it_and_people_can_read_it(tmp_path) -> None:
    scenario = Scenario(
        seed=7,
        steps=(Step(at=1.0, kind="crash", names=("n01",)), Step(at=2.5, kind="loss", amount=0.1)),
    )
    path = tmp_path / "case.json"
    scenario.save(path)
    assert Scenario.load(path) == scenario
    lines = path.read_text().splitlines()
    assert sum("crash" in line for line in lines) == 1, "one line for each step"
    assert json.loads(path.read_text())["seed"] == 7


def step(**changes: object) -> Step:
    return attrs.evolve(Step(at=1.0, kind="crash", names=("n01",)), **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nodes": 0}, "nodes must be from 1"),
        ({"nodes": 2.5}, "nodes must be from 1"),
        ({"seed": "x"}, "seed must be a whole number"),
        ({"seconds": -1.0}, "seconds must be from 0"),
        ({"seconds": float("nan")}, "seconds must be from 0"),
        ({"calm": -3.0}, "calm must be from 0"),
        ({"calm": float("inf")}, "calm must be from 0"),
        ({"profile": "moon"}, "profile must be one of lan, fast, safe, wan, local"),
        ({"config": {"name": "x"}}, "'name' is no setting"),
        ({"config": {"admit": True}}, "'admit' is no setting"),
        ({"config": {"gossip_nodes": 0}}, "config: gossip_nodes"),
        ({"steps": (step(),) * 10_001}, "10001 steps, at most"),
        ({"steps": (step(kind="sunburn"),)}, "step 1: there is no such kind of step: 'sunburn'"),
        ({"steps": (step(kind="key-rotation", names=()),)}, "there is no such kind"),
        ({"steps": (step(names=("n77",)),)}, "no member 'n77' among the 5"),
        ({"steps": (step(names=()),)}, "needs 1 members, not 0"),
        ({"steps": (step(kind="ping", names=("n01", "n01")),)}, "names a member twice"),
        ({"steps": (step(at=30.5),)}, "not within the 30 s of faults"),
        ({"steps": (step(at=-0.1),)}, "not within the 30 s of faults"),
        ({"steps": (step(at=float("nan")),)}, "not within the 30 s of faults"),
        ({"steps": (step(at=2.0), step(at=1.0))}, "step 2 (crash at 1.0 s): comes before"),
        ({"steps": (step(kind="loss", names=(), amount=0.2),)}, "amount must be 0 to 0.1, not 0.2"),
        ({"steps": (step(kind="loss", names=(), amount=float("nan")),)}, "amount must be"),
        ({"steps": (step(seconds=1.0),)}, "seconds must be 0 to 0, not 1"),
        ({"steps": (step(kind="join-storm", amount=2.5),)}, "a whole number, not 2.5"),
        ({"seed": -1}, "seed must be from 0 to 2^64 - 1, not -1"),
        ({"seed": SEED_END}, "seed must be from 0 to 2^64 - 1"),
        ({"seed": 10**5000}, "seed must be from 0 to 2^64 - 1, not a number of very many"),
        ({"seed": True}, "seed must be a whole number"),
        ({"seconds": "x"}, "seconds must be a number, not 'x'"),
        ({"seconds": 10**400}, "seconds must be a number, not 1000"),
        ({"calm": None}, "calm must be a number, not None"),
        ({"profile": ["lan"]}, "profile must be text"),
        ({"about": "\ud800"}, "about holds what is no character"),
        ({"about": b"x"}, "about must be text"),
        ({"config": None}, "config must be a mapping, not None"),
        ({"config": {"reap_time": "x"}}, "reap_time must be a number below 2^64, not 'x'"),
        ({"config": {"reap_time": 10**400}}, "config: reap_time must be a number"),
        ({"config": {"reap_time": float("nan")}}, "config: reap_time must be a number"),
        ({"config": {"reap_time": 10**300}}, "config: reap_time must be a number below 2^64"),
        (
            {"config": {"probe_interval": 1e5, "detector": "memberlist"}},
            "a calm of 3.6",
        ),
        ({"config": {3: 4}}, "config: 3 is no setting"),
        ({"links": None}, "links must be LinkFaults, not None"),
        ({"links": {"loss": 0.1}}, "links must be LinkFaults"),
        ({"steps": None}, "steps must be a tuple, not None"),
        ({"steps": ({"at": 1},)}, "step 1 must be a Step, not {'at': 1}"),
        ({"steps": (step(at="1"),)}, "step 1: at must be a number, not '1'"),
        ({"steps": (step(amount=None),)}, "step 1: amount must be a number"),
        ({"steps": (step(seconds=10**400),)}, "step 1: seconds must be a number"),
        ({"steps": (step(names="n01"),)}, "step 1: names must be a tuple, not 'n01'"),
        ({"steps": (step(names=(1,)),)}, "step 1: names must be text, not 1"),
        ({"steps": (step(kind=None),)}, "step 1: kind must be text"),
        ({"steps": (step(kind="x\ny" * 999),)}, "no such kind of step: 'x\\ny"),
    ],
)
def test_what_cannot_be_played_is_refused_with_one_line(changes, words: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        Scenario(**{"seed": 1, **changes})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("{" * 100_000, "not JSON"),
        ("[]", "not a scenario"),
        ("{}", "not a scenario"),
        ('{"scenario": 2, "seed": 1}', "format 2; this version reads 1"),
        ('{"scenario": 1}', "it has no seed"),
        ('{"scenario": 1, "seed": true}', "seed must be a whole number"),
        ('{"scenario": 1, "seed": 1, "sed": 2}', "nobody knows what 'sed' means"),
        ('{"scenario": 1, "seed": 1, "seconds": "x"}', "seconds must be a number"),
        ('{"scenario": 1, "seed": 1, "seconds": 1e999}', "seconds must be a number"),
        ('{"scenario": 1, "seed": 1, "profile": 3}', "profile must be text"),
        ('{"scenario": 1, "seed": 1, "config": []}', "config must be an object"),
        ('{"scenario": 1, "seed": 1, "config": {"reap_time": "x"}}', "reap_time must be a number"),
        ('{"scenario": 1, "seed": 1, "links": {"los": 1}}', "links: nobody knows what 'los' means"),
        ('{"scenario": 1, "seed": 1, "links": {"loss": 2}}', "loss must be from 0 to 1"),
        ('{"scenario": 1, "seed": 1, "links": {"burst_packets": 0}}', "links: "),
        ('{"scenario": 1, "seed": 1, "links": {"mtu": 0.5}}', "mtu must be a whole number"),
        ('{"scenario": 1, "seed": 1, "links": {"latency": 1}}', "latency must be a list"),
        ('{"scenario": 1, "seed": 1, "links": {"latency": [1]}}', "must be two numbers"),
        ('{"scenario": 1, "seed": 1, "links": {"latency": [2, 1]}}', "latency"),
        ('{"scenario": 1, "seed": 1, "steps": 1}', "steps must be a list"),
        ('{"scenario": 1, "seed": 1, "steps": [1]}', "step 1 must be an object"),
        ('{"scenario": 1, "seed": 1, "steps": [{"at": 1}]}', "step 1: it has no 'kind'"),
        (
            '{"scenario": 1, "seed": 1, "steps": [{"at": 1, "kind": "ring", "x": 1}]}',
            "step 1: nobody knows what 'x' means",
        ),
        (
            '{"scenario": 1, "seed": 1, "steps": [{"at": 1, "kind": "crash", "names": "n01"}]}',
            "step 1: names must be a list",
        ),
        ('{"scenario": true, "seed": 1}', "format True; this version reads 1"),
        ('{"scenario": 1.0, "seed": 1}', "format 1.0; this version reads 1"),
        ('{"scenario": 1, "seed": 1, "seed": 2}', "'seed' comes twice in one object"),
        ('{"scenario": 1, "seed": 1, "links": {"loss": 0, "loss": 1}}', "'loss' comes twice"),
        ('{"scenario": 1, "seed": 18446744073709551616}', "seed must be from 0 to 2^64 - 1"),
        ('{"scenario": 1, "seed": 1, "about": "\\ud800"}', "about holds what is no character"),
        (f'{{"scenario": 1, "seed": {"9" * 400}}}', "seed must be from 0 to"),
        (f'{{"scenario": 1, "seed": {"9" * 5000}}}', "not JSON"),
        (f'{{"scenario": 1, "seed": 1, "nodes": {"9" * 400}}}', "nodes must be from 1"),
        (f'{{"scenario": 1, "seed": 1, "seconds": {"9" * 400}}}', "seconds must be a number"),
        (f'{{"scenario": 1, "seed": 1, "seconds": "{"x" * 5000}"}}', "must be a number, not 'xxx"),
        (f'{{"scenario": 1, "seed": 1, "links": {{"mtu": {"9" * 400}}}}}', "mtu must be"),
        (f'{{"scenario": 1, "seed": 1, "links": {{"loss": {"9" * 300}}}}}', "loss must be from 0"),
        (f'{{"scenario": 1, "seed": 1, "{"x" * 5000}": 1}}', "nobody knows what 'xxx"),
        (f'{{"scenario": {"9" * 400}, "seed": 1}}', "a scenario of format 999"),
    ],
)
def test_a_file_that_makes_no_sense_gives_one_line_with_its_name(tmp_path, text, words) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(ScenarioError) as caught:
        Scenario.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200 + len(str(path))


def test_a_file_that_is_not_there_or_too_large_gives_one_line(tmp_path) -> None:
    with pytest.raises(ScenarioError, match=r"none.json: No such file"):
        Scenario.load(tmp_path / "none.json")
    with pytest.raises(ScenarioError, match="directory"):
        Scenario.load(tmp_path)
    large = tmp_path / "large.json"
    with large.open("wb") as file:
        file.truncate(FILE_BYTES_MAX + 1)
    with pytest.raises(ScenarioError, match="larger than"):
        Scenario.load(large)
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScenarioError, match="not JSON"):
        Scenario.load(binary)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX")
def test_what_is_no_regular_file_is_refused_without_opening_it(tmp_path, monkeypatch) -> None:
    """Reading a pipe that nobody writes would wait forever."""
    os.mkfifo(tmp_path / "pipe")
    monkeypatch.setattr(
        "pathlib.Path.open", lambda *arguments: pytest.fail("opened what may never end")
    )
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(ScenarioError, match="not a regular file"):
            Scenario.load(path)


def test_a_file_that_grows_while_it_is_read_is_read_to_the_limit_only(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr("trio_gossip.testing.scenarios.scenario.FILE_BYTES_MAX", 100)
    asked = []

    class File(io.BytesIO):
        def read(self, count: int = -1) -> bytes:
            asked.append(count)
            return super().read(count)

    path = tmp_path / "grows.json"
    path.write_text("{}")
    monkeypatch.setattr("pathlib.Path.open", lambda *arguments: File(b" " * 1000))
    with pytest.raises(ScenarioError, match="larger than 100 bytes"):
        Scenario.load(path)
    assert asked == [101]


def test_a_path_that_cannot_be_gives_one_line() -> None:
    with pytest.raises(ScenarioError, match="null byte"):
        Scenario.load("a\0b")


def test_the_calm_is_as_long_as_the_scenario_needs() -> None:
    small, large = Scenario(seed=1, nodes=5), Scenario(seed=1, nodes=20)
    assert 60.0 < small.calm < large.calm < 200.0
    assert Scenario(seed=1, calm=3.0).calm == 3.0
    assert Scenario(seed=1, profile="wan").calm > small.calm
    stormy = Scenario(seed=1, steps=(step(kind="join-storm", amount=20.0, seconds=5.0),))
    assert stormy.calm > small.calm


def test_a_scenario_is_gentle_until_one_step_is_grave() -> None:
    mild = Scenario(seed=1, steps=(step(),))
    assert mild.is_gentle
    assert not attrs.evolve(mild, steps=(step(), step(kind="isolated", at=2.0))).is_gentle
