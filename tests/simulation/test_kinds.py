"""Every kind of step: it does something, it is undone, and kinds can overlap."""

from __future__ import annotations

import random

import attrs
import pytest

from trio_gossip.addresses import Address
from trio_gossip.members import MemberState
from trio_gossip.testing import LinkFaults, Simulation
from trio_gossip.testing.scenarios import keys
from trio_gossip.testing.scenarios.catalogue import GENTLE, KINDS
from trio_gossip.testing.scenarios.kind import Excused, SkipStep, Step
from trio_gossip.testing.scenarios.layers import Layers, loss_of
from trio_gossip.testing.scenarios.player import Report, play
from trio_gossip.testing.scenarios.scenario import Scenario
from trio_gossip.testing.scenarios.stage import Stage
from trio_gossip.testing.sealed import NativeSealing, key_of

BASE = LinkFaults(loss=0.01, duplicate=0.2, latency=(0.001, 0.003))
NODES = 7
ENDS_THE_SECOND = ("too-late", "half-said", "join-leaver")
WITH_KEYS = frozenset(kind.name for kind in keys.KINDS)


def stage(seed: int = 1, *, sealed: bool = False) -> Stage:
    """A cluster of seven that has formed, ready for steps."""
    scenario = Scenario(seed=seed, nodes=NODES)
    sealing = NativeSealing([key_of(seed)]) if sealed else None
    simulation = Simulation(seed, sealing=sealing, **attrs.asdict(BASE, recurse=False))
    made = Stage(simulation, scenario.names, scenario.config_of)
    simulation.observe(made.recorder)
    for name in made.names:
        simulation.start(name)
        if name != "n00":
            simulation.join(name, "n00")
    assert simulation.run_until(simulation.agree, 60.0)
    return made


def state(made: Stage) -> object:
    """Everything that a step may leave behind in links and processes."""
    links = made.simulation.links
    own = {pair: links.between(*pair) for pair in links._own}
    return (
        links.faults,
        own,
        sorted(links.cut_pairs),
        dict(links._clogs),
        {
            name: (process.paused, process.turn_seconds, process.inbox_limit, process.clock_rate)
            for name, process in made.simulation.processes.items()
        },
    )


def drawn(name: str, made: Stage) -> Step:
    return KINDS[name].draw(random.Random(f"draw {name}"), made.names, 1.0)


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_is_applied_undone_and_leaves_the_links_as_they_were(name: str) -> None:
    made = stage(sealed=name in WITH_KEYS)
    simulation = made.simulation
    before = state(made)
    running = set(simulation.processes)
    step = attrs.evolve(drawn(name, made), seconds=min(2.0, KINDS[name].seconds.high))
    assert KINDS[name].fault_of(step) is None, "what is drawn at random is allowed"
    hits, records = sum(simulation.injected.values()), simulation.trace.count
    undo = KINDS[name].begin(made, step)
    simulation.run(step.seconds + 4.0)
    assert (sum(simulation.injected.values()), simulation.trace.count) > (hits, records)
    if undo is not None:
        undo()
    simulation.run(10.0)
    if name in ("crash", "host-gone", "leave", "alias", *ENDS_THE_SECOND):
        assert set(simulation.processes) == running - set(step.names[-1:])
    else:
        assert set(simulation.processes) == running
        assert state(made) == before
    simulation.run(90.0)
    assert simulation.agree()


LAYERED = ("loss", "heavy-loss", "burst-loss", "duplication", "heavy-tail", "delay", "mtu")
HURTING = ("one-way-cut", "halves", "ring", "bridge", "lossy-link", "streams-cut", "deaf", "mute")


@pytest.mark.parametrize("seed", range(20))
def test_kinds_that_overlap_add_up_and_come_off_in_any_order(seed: int) -> None:
    rng = random.Random(seed)
    made = stage()
    before = state(made)
    made.simulation.excuses.excuse(None, 1e9)
    undo = []
    for name in rng.choices(LAYERED + HURTING, k=8):
        step = KINDS[name].draw(rng, made.names, 1.0)
        undo.append(KINDS[name].begin(made, attrs.evolve(step, seconds=5.0)))
    assert state(made) != before
    rng.shuffle(undo)
    for one in undo:
        one()
    assert state(made) == before


def test_faults_of_two_layers_are_independent_of_each_other() -> None:
    simulation = Simulation(1, loss=0.1)
    layers = Layers(simulation.links)
    first = layers.add(loss=0.5, mtu=1000)
    second = layers.add(loss=0.5, mtu=800, latency=(0.1, 0.2), hold=1.0)
    faults = simulation.links.faults
    assert faults.loss == pytest.approx(1.0 - 0.9 * 0.5 * 0.5)
    assert (faults.mtu, faults.hold) == (800, 1.0)
    assert faults.latency == pytest.approx((0.1002, 0.201))
    first()
    first()  # a second time does nothing
    assert simulation.links.faults.loss == pytest.approx(0.55)
    second()
    assert simulation.links.faults == LinkFaults(loss=0.1)


def test_faults_of_one_direction_lie_over_those_of_all() -> None:
    simulation = Simulation(1)
    layers = Layers(simulation.links)
    of_one = layers.add_one(("a", "b"), loss=0.5)
    of_all = layers.add(loss=0.5)
    assert simulation.links.between("a", "b").loss == pytest.approx(0.75)
    assert simulation.links.between("b", "a").loss == 0.5
    of_all()
    assert simulation.links.between("a", "b").loss == 0.5
    of_one()
    assert simulation.links.between("a", "b") == LinkFaults()


def test_a_cut_that_two_steps_made_ends_with_the_second() -> None:
    made = stage()
    first = KINDS["isolated"].begin(made, Step(at=1.0, kind="isolated", names=("n01",)))
    second = KINDS["deaf"].begin(made, Step(at=1.0, kind="deaf", names=("n01",)))
    first()
    assert made.simulation.links.is_cut("n02", "n01")
    assert not made.simulation.links.is_cut("n01", "n02")
    second()
    assert not made.simulation.links.cut_pairs


def test_the_shapes_of_partitions() -> None:
    made = stage()
    links = made.simulation.links

    def reached(kind: str, *names: str) -> dict[str, list[str]]:
        undo = KINDS[kind].begin(made, Step(at=1.0, kind=kind, names=names))
        found = {
            one: [other for other in made.names if other != one and not links.is_cut(one, other)]
            for one in made.names
        }
        undo()
        return found

    halves = reached("halves", "n00", "n01")
    assert halves["n00"] == ["n01"]
    assert len(halves["n02"]) == NODES - 3
    bridge = reached("bridge", "n00", "n01", "n02")
    assert len(bridge["n00"]) == NODES - 1
    assert bridge["n01"] == ["n00", "n02"]
    assert bridge["n03"] == ["n00", "n04", "n05", "n06"]
    ring = reached("ring")
    assert ring["n00"] == ["n01", "n06"]
    assert ring["n03"] == ["n02", "n04"]
    assert reached("isolated", "n03")["n03"] == []
    assert reached("mute", "n03")["n03"] == []
    deaf = reached("deaf", "n03")
    assert len(deaf["n03"]) == NODES - 1
    assert "n03" not in deaf["n00"]


def test_restarts_have_the_incarnation_of_their_kind() -> None:
    for kind, amount in (("restart", 0.0), ("restart-lost", 0.0), ("restart-back", 1000.0)):
        made = stage()
        before = made.simulation.processes["n03"].engine.local.incarnation
        step = Step(at=1.0, kind=kind, names=("n03",), amount=amount, seconds=0.05)
        undo = KINDS[kind].begin(made, step)
        made.simulation.run(0.05)
        undo()
        first = made.simulation.processes["n03"].first_incarnation
        if kind == "restart":
            assert first == before + 1, "within the same second, and still higher"
        else:
            expected = {"restart-lost": 1, "restart-back": before - 1000}[kind]
            assert first == pytest.approx(expected, abs=1), "clocks show whole seconds"


def test_a_name_moves_to_a_port_that_is_free() -> None:
    made = stage()
    made.simulation.start("squatter", address=Address("h-n03", 8000))
    step = Step(at=1.0, kind="move", names=("n03",), amount=8000.0, seconds=0.1)
    KINDS["move"].begin(made, step)()
    assert made.simulation.processes["n03"].address.port == 8001
    assert made.addresses["n03"].port == 8001


def test_a_step_for_a_member_that_is_down_is_skipped_and_changes_nothing() -> None:
    made = stage()
    made.crash("n03")
    before = state(made)
    tokens = {name: process.tokens for name, process in made.simulation.processes.items()}
    skipped = 0
    for name, kind in KINDS.items():
        names = ("n03", "n01", "n02")[: max(1, kind.names[0])]
        if kind.names[1] == 0 or kind.names[1] > 3 or name in ("one-way-cut", "lossy-link"):
            continue
        step = attrs.evolve(drawn(name, made), names=names)
        if name in ("isolated", "nic-stall", "deaf", "mute", "clog"):
            continue  # links are there without processes
        with pytest.raises(SkipStep):
            kind.begin(made, step)
        skipped += 1
    assert skipped > 25
    assert state(made) == before
    assert tokens == {name: process.tokens for name, process in made.simulation.processes.items()}


def test_a_third_of_the_members_at_most_is_taken_away() -> None:
    made = stage()
    gone = 0
    for name in made.names:
        try:
            KINDS["crash"].begin(made, Step(at=1.0, kind="crash", names=(name,)))
        except SkipStep:
            continue
        gone += 1
    assert gone == NODES - NODES * 2 // 3


def test_a_link_is_cut_only_where_two_others_can_pass_things_on() -> None:
    made = stage()
    for name in made.names[4:]:
        made.crash(name)
    made.names = made.names[:4]  # as if these four were all
    cut = Step(at=1.0, kind="one-way-cut", names=("n00", "n01"), seconds=30.0)
    end = KINDS["one-way-cut"].begin(made, cut)
    with pytest.raises(SkipStep):
        KINDS["crash"].begin(made, Step(at=1.0, kind="crash", names=("n03",)))
    end()
    made.crash("n03")
    with pytest.raises(SkipStep):
        KINDS["one-way-cut"].begin(made, cut)


def test_newcomers_of_a_storm_are_no_reason_to_take_away_more_members() -> None:
    made = stage()
    storm = Step(at=1.0, kind="join-storm", names=("n00",), amount=16.0, seconds=30.0)
    KINDS["join-storm"].begin(made, storm)
    made.simulation.run(5.0)
    assert len(made.all_present()) == NODES + 16
    gone = 0
    for name in made.names:
        try:
            KINDS["crash"].begin(made, Step(at=1.0, kind="crash", names=(name,)))
        except SkipStep:
            continue
        gone += 1
    assert gone == NODES - NODES * 2 // 3


def test_mild_losses_do_not_add_up_to_a_grave_one() -> None:
    made = stage()
    step = Step(at=1.0, kind="loss", amount=0.08, seconds=10.0)
    KINDS["loss"].begin(made, step)
    with pytest.raises(SkipStep, match="too much"):
        KINDS["truncation"].begin(made, attrs.evolve(step, kind="truncation", amount=0.05))
    made.simulation.excuses.excuse(None, made.simulation.now + 10.0)
    KINDS["truncation"].begin(made, attrs.evolve(step, kind="truncation", amount=0.05))


def test_the_loss_of_bursts_is_counted_in_the_long_run() -> None:
    assert loss_of(LinkFaults(loss=0.5)) == 0.5
    assert loss_of(LinkFaults(burst=0.01, burst_packets=8.0)) == pytest.approx(0.08 / 1.08)
    assert loss_of(LinkFaults(corrupt=0.5, truncate=0.5)) == 0.75


def only(kind: str, *names: str, seed: int = 3, **changes: float) -> Report:
    step = Step(at=2.0, kind=kind, names=names, **changes)
    # Without sums there is an exchange now and then also where nobody has missed anything.
    config = {"summaries": False}
    scenario = Scenario(seed=seed, nodes=6, seconds=30.0, calm=60.0, config=config, steps=(step,))
    return play(scenario, checkers=())


@pytest.mark.parametrize(
    ("kind", "names", "amount", "seconds", "hit"),
    [
        ("loss", (), 0.1, 20.0, "loss"),
        ("heavy-loss", (), 0.5, 20.0, "loss"),
        ("burst-loss", (), 0.01, 28.0, "burst"),
        ("duplication", (), 0.3, 10.0, "duplicate"),
        ("reordering", (), 0.3, 10.0, "reorder"),
        ("heavy-tail", (), 0.3, 10.0, "tail"),
        ("corruption", (), 0.1, 20.0, "corrupt"),
        ("truncation", (), 0.1, 20.0, "truncate"),
        ("mtu", (), 12.0, 10.0, "mtu"),
        ("lossy-link", ("n01", "n02"), 1.0, 20.0, "loss"),
        ("one-way-cut", ("n01", "n02"), 0.0, 20.0, "cut"),
        ("halves", ("n01", "n02"), 0.0, 20.0, "cut"),
        ("ring", (), 0.0, 20.0, "cut"),
        ("clog", ("n01",), 0.0, 1.0, "clog"),
        ("swizzle", ("n01", "n02"), 0.0, 10.0, "clog"),
        ("crawl", ("n01",), 1.0, 25.0, "inbox_full"),
        ("streams-refused", (), 1.0, 28.0, "dial_refuse"),
        ("streams-hung", (), 1.0, 28.0, "dial_hang"),
        ("streams-cut", (), 1.0, 28.0, "stream_cut"),
        ("garbage", ("n01",), 20.0, 5.0, "hostile"),
        ("replay", (), 20.0, 5.0, "hostile"),
    ],
)
def test_faults_are_counted_where_they_hit(kind, names, amount, seconds, hit: str) -> None:
    quiet = play(Scenario(seed=3, nodes=6, seconds=30.0, calm=60.0), checkers=())
    assert not quiet.injected
    report = only(kind, *names, amount=amount, seconds=seconds)
    assert report.applied == {kind: 1}
    assert report.injected[hit] > 0


@pytest.mark.parametrize("name", [name for name in KINDS if name in GENTLE])
def test_a_mild_kind_excuses_nobody(name: str) -> None:
    assert KINDS[name].excused is Excused.NOBODY


def test_a_member_leaves_and_the_same_process_comes_back() -> None:
    made = stage()
    process = made.simulation.processes["n02"]
    undo = KINDS["come-back"].begin(made, Step(at=1.0, kind="come-back", names=("n02",)))
    made.simulation.run(8.0)
    assert process.running
    assert process.engine.local.state is MemberState.LEFT
    undo()
    assert made.simulation.run_until(made.simulation.agree, 30.0)
    assert made.simulation.processes["n02"] is process


def test_a_slander_is_refuted() -> None:
    made = stage()
    before = made.simulation.processes["n02"].engine.local.incarnation
    step = Step(at=1.0, kind="slander", names=("n01", "n02", "n03"))
    KINDS["slander"].begin(made, step)
    made.simulation.run(3.0)
    assert made.simulation.processes["n02"].engine.local.incarnation > before
