"""Planted faults of sealing and of the change of keys: each is seen by its checker."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from tests.simulation.rotation import sealed_cluster
from trio_gossip.testing import Findings, Scenario, Simulation, Step, attach, play
from trio_gossip.testing.checkers.rotating import KeysChanged, KeysShared
from trio_gossip.testing.checkers.secrecy import AcceptedOnce, NoncesOnce, NothingInClear
from trio_gossip.testing.sealed import NativeSealing, NativeStreamSeal, key_of
from trio_gossip.testing.simulation.links import LinkFaults
from trio_gossip_transports.keyring_store import KeyringStore
from trio_gossip_transports.sealing.native import NativeSealer
from trio_gossip_transports.sealing.window import Window

CHECKERS = (NothingInClear, NoncesOnce, AcceptedOnce, KeysChanged, KeysShared)
SCENARIO = Scenario(
    seed=2,
    nodes=5,
    sealed=True,
    seconds=25.0,
    calm=20.0,
    links=LinkFaults(duplicate=0.3, loss=0.02),
    steps=(
        Step(at=1.0, kind="rotate-keys", names=("n01",), amount=0.5, seconds=20.0),
        Step(at=6.0, kind="restart", names=("n03",), seconds=2.0),
        Step(at=7.0, kind="replay", amount=100, seconds=5.0),
    ),
)


def broken() -> set[str]:
    """The checkers that see something wrong."""
    report = play(SCENARIO, checkers=CHECKERS)
    return set(report.broken) - {"forming", "agreement"}


def test_a_sealed_cluster_gives_all_of_them_something_to_check() -> None:
    report = play(SCENARIO, checkers=CHECKERS)
    assert not report.violations
    assert not report.idle
    assert not report.skipped


def test_a_plain_cluster_gives_none_of_them_anything() -> None:
    report = play(Scenario(seed=2, nodes=4, seconds=5.0, calm=5.0), checkers=CHECKERS)
    assert not report.violations
    assert len(report.idle) == len(CHECKERS)


def packets_go_in_the_clear(monkeypatch) -> None:
    monkeypatch.setattr(NativeSealer, "seal", lambda _self, data, to, _now: [(data, to)])


def packets_are_told_twice_once_in_the_clear(monkeypatch) -> None:
    original = NativeSealer._sealed
    monkeypatch.setattr(
        NativeSealer, "_sealed", lambda self, data, token: original(self, data, token) + data
    )


def streams_go_in_the_clear(monkeypatch) -> None:
    monkeypatch.setattr(NativeStreamSeal, "seal", lambda _self, data: data)


def a_number_comes_twice(monkeypatch) -> None:
    original = NativeSealer._next_number
    calls = count()

    def repeated(self: NativeSealer) -> bytes:
        number = original(self)
        if next(calls) % 50 == 49:
            self._counter -= 1
        return number

    monkeypatch.setattr(NativeSealer, "_next_number", repeated)


def all_lives_have_one_boot_id(monkeypatch) -> None:
    original = NativeSealer._new_boot

    def same(self: NativeSealer) -> None:
        entropy, self._entropy = self._entropy, bytes
        original(self)
        self._entropy = entropy

    monkeypatch.setattr(NativeSealer, "_new_boot", same)


def all_prefaces_have_one_random_part(monkeypatch) -> None:
    original = NativeStreamSeal.__init__

    def same(self: NativeStreamSeal, ring, label, _entropy, *, accepted: bool) -> None:
        original(self, ring, label, bytes, accepted=accepted)

    monkeypatch.setattr(NativeStreamSeal, "__init__", same)


def every_number_is_new(monkeypatch) -> None:
    monkeypatch.setattr(Window, "is_new", lambda _self, _counter: True)


def lazy(operation: str) -> Callable[[pytest.MonkeyPatch], None]:
    """One member of five only says that it did what it was asked for."""

    def plant(monkeypatch) -> None:
        calls = count()
        original = getattr(KeyringStore, operation)

        def sometimes(self: KeyringStore, *arguments: object, **options: object) -> None:
            if next(calls) % 5 != 2:
                original(self, *arguments, **options)

        monkeypatch.setattr(KeyringStore, operation, sometimes)

    return plant


def the_ring_changes_by_itself(monkeypatch) -> None:
    """At the very end one member seals with a key that the others have not."""
    original = KeysShared.finish

    def finish(self: KeysShared) -> None:
        ring = self.simulation.processes["n02"].seal.ring
        ring.install(key_of(99))
        ring.use(key_of(99))
        original(self)

    monkeypatch.setattr(KeysShared, "finish", finish)


CASES = [
    pytest.param("nothing-in-clear", packets_go_in_the_clear),
    pytest.param("nothing-in-clear", packets_are_told_twice_once_in_the_clear),
    pytest.param("nothing-in-clear", streams_go_in_the_clear),
    pytest.param("nonces-once", a_number_comes_twice),
    pytest.param("nonces-once", all_lives_have_one_boot_id),
    pytest.param("nonces-once", all_prefaces_have_one_random_part),
    pytest.param("accepted-once", every_number_is_new),
    pytest.param("keys-changed", lazy("install")),
    pytest.param("keys-changed", lazy("use")),
    pytest.param("keys-changed", lazy("remove")),
    pytest.param("keys-shared", the_ring_changes_by_itself),
]


@pytest.mark.parametrize(("name", "plant"), CASES)
def test_a_planted_fault_is_seen(name: str, plant, monkeypatch) -> None:
    plant(monkeypatch)
    assert name in broken()


def test_a_datagram_that_nobody_sealed_and_is_taken_is_seen(monkeypatch) -> None:
    original = NativeSealer.open

    def credulous(self: NativeSealer, data: bytes, source, now: float):
        opened = original(self, data, source, now)
        return opened._replace(packets=[b"\x81\x80"]) if not opened.packets else opened

    monkeypatch.setattr(NativeSealer, "open", credulous)
    findings = Findings()
    simulation = sealed_cluster(1, ("a",))
    attach(simulation, findings, [AcceptedOnce])
    simulation.inject("a", b"\xe3" + bytes(60), simulation.processes["a"].address)
    assert findings.counts["accepted-once"] == 1


def test_an_answer_that_is_not_true_is_seen(monkeypatch) -> None:
    ids = KeyringStore.ids
    monkeypatch.setattr(KeyringStore, "ids", lambda self: (*ids(self), b"liar"))
    findings = Findings()
    simulation = sealed_cluster(1, ("a", "b"))
    attach(simulation, findings, [KeysChanged])
    simulation.keys("a", "list")
    simulation.run(2.0)
    assert findings.counts == {"keys-changed": 2}


def refused_late(
    meanwhile: Callable[[Simulation], None],
    *,
    before: Callable[[Simulation], None] = lambda _: None,
) -> tuple[Findings, Simulation]:
    """An operator's change is refused as a stream to one member hangs. The report waits for another
    one that gave its lease and was cut off then; all others are free before that, and go on.
    """
    findings = Findings()
    simulation = sealed_cluster(1, tuple("abcdef"))
    attach(simulation, findings, [KeysChanged])
    before(simulation)
    simulation.links.cut([(name, "e") for name in "abcdf"])
    token = simulation.keys("a", "install", key_of(1, 1).secret)
    simulation.run(1.0)
    simulation.links.heal()
    simulation.run(8.5)
    simulation.links.cut([pair for name in "abcde" for pair in ((name, "f"), ("f", name))])
    assert simulation.run_until(lambda: len(simulation.processes["b"].active_names()) == 5, 10.0)
    assert token not in simulation.processes["a"].results
    meanwhile(simulation)
    simulation.run(20.0)
    assert simulation.processes["a"].results[token].error.refused
    return findings, simulation


def installs(simulation: Simulation) -> None:
    token = simulation.keys("b", "install", key_of(1, 2).secret)
    simulation.run(1.0)
    assert simulation.processes["b"].results[token].error is None


def test_a_report_that_came_after_the_change_of_another_operator_is_no_lie() -> None:
    findings, simulation = refused_late(installs)
    assert len(simulation.processes["c"].seal.key_ids) == 2
    assert not findings.violations
    assert findings.checked["keys-changed"] > 0


def test_what_was_refused_and_happened_is_seen_whoever_else_was_at_work() -> None:
    def happens(simulation: Simulation) -> None:
        installs(simulation)
        simulation.processes["c"].seal.ring.install(key_of(1, 1))

    findings, _ = refused_late(happens)
    assert findings.counts == {"keys-changed": 1}
    assert "c has" in str(findings.violations[0])
    assert "though install was refused" in str(findings.violations[0])


def test_a_ring_that_changed_by_itself_before_the_report_is_seen() -> None:
    findings, _ = refused_late(
        lambda simulation: simulation.processes["c"].seal.ring.install(key_of(1, 2))
    )
    assert findings.counts == {"keys-changed": 1}
    assert "c said" in str(findings.violations[0])


def test_an_operator_that_was_done_before_excuses_nobody() -> None:
    findings, _ = refused_late(
        lambda simulation: simulation.processes["c"].seal.ring.install(key_of(1, 3)),
        before=installs,
    )
    assert findings.counts == {"keys-changed": 1}


def test_members_that_cannot_open_what_another_one_seals_are_seen() -> None:
    findings = Findings()
    simulation = sealed_cluster(1, ("a", "b", "c"))
    checkers = attach(simulation, findings, [KeysShared])
    checkers.finish()
    assert not findings.counts
    simulation.processes["b"].seal.ring.install(key_of(1, 1))
    simulation.processes["b"].seal.ring.use(key_of(1, 1))
    checkers.finish()
    assert findings.counts == {"keys-shared": 1}
    assert "a, c cannot open" in str(findings.violations[0])


def test_only_the_hold_of_a_key_counts_and_not_its_place() -> None:
    findings = Findings()
    sealing = NativeSealing([key_of(1), key_of(1, 1)])
    sealing.give("b", [key_of(1, 1).secret, key_of(1).secret])
    simulation = sealed_cluster(1, ("a", "b"), sealing=sealing)
    attach(simulation, findings, [KeysShared]).finish()
    assert not findings.counts
    assert findings.checked["keys-shared"] == 2
