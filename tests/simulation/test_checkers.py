"""The checkers as a whole: what they are, and that a correct cluster never troubles them."""

from __future__ import annotations

import re
from functools import partial

import pytest

from tests.simulation.forming import OF_EVIDENCE, OF_MEMBERLIST, OF_SEALED
from trio_gossip.addresses import Address
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import IndirectPing, Ping
from trio_gossip.config import Config
from trio_gossip.testing.checkers.base import Findings
from trio_gossip.testing.checkers.catalogue import ALL, attach
from trio_gossip.testing.checkers.sealed import sealed
from trio_gossip.testing.simulation.simulation import Simulation

MOVED = Address("h-e", 9000)
STRANGER = Address("stranger", 7946)
EXCUSED_SECONDS = 60.0
CALM_SECONDS = 115.0

ELSEWHERE = {"drops-the-most-told", "compared-is-told"}
"""Have something to check in stories of their own: test_checkers_pace fills a queue, after which
nobody judges whether broadcasts reach all, and in test_checkers_mending a member misses much.
"""


class Story:
    """The same run for every checker: a cluster of ten with a bit of everything.

    ``attached`` are the checkers that look on; ``simulation`` goes on where a test wants it to.
    """

    def __init__(
        self, *checkers, seed=1, names="abcdefghij", detector="evidence", profile="lan", **faults
    ):
        self.detector = detector
        self.preset = getattr(Config, profile)
        self.findings = Findings()
        self.simulation = Simulation(seed, **faults)
        self.attached = attach(self.simulation, self.findings, checkers)
        self.names = names

    def start(self, name, **options):
        config = self.preset(name=name, detector=self.detector)
        return self.simulation.start(name, config=config, **options)

    def form(self):
        simulation = self.simulation
        for name in self.names:
            self.start(name)
            if name != self.names[0]:
                simulation.join(name, self.names[0])
            simulation.run(0.1)
        simulation.run(2.0)

    def work(self):
        """Messages, a change of metadata, a pause that is forgiven."""
        simulation = self.simulation
        simulation.links.change(loss=0.05, duplicate=0.1, reorder=0.1)
        simulation.run(9.0)
        for number, name in enumerate("abcab"):
            simulation.do(name, "broadcast", sealed(b"to all %d" % number, 60))
        simulation.write("a", "load", b"0.5")
        simulation.write("b", "leader", b"b", shared=True)
        simulation.command("b", "send_reliable", "c", b"x" * 100_000)
        simulation.command("b", "ping", "a")
        simulation.pause("c")
        simulation.run(1.2)
        simulation.resume("c")
        simulation.do("d", "update_meta", b"other")
        simulation.write("a", "load", b"0.7")
        simulation.write("b", "leader", None, shared=True)
        simulation.run(10.0)

    def flood(self):
        """More news of both kinds than a packet holds, for some rounds of gossip."""
        for name in self.names:
            self.simulation.do(name, "update_meta", b"m" * 500)
        for number in range(60):
            self.simulation.do("a", "broadcast", sealed(b"%d" % number, 400))
        self.simulation.run(10.0)

    def letters(self):
        """Broadcasts that fit no packet."""
        for name in "abc":
            self.simulation.do(name, "broadcast", sealed(b"letter", 5000))
        self.simulation.run(1.0)

    def ends(self):
        """A crash, a leave, and a return at another address before the crash was noticed."""
        simulation = self.simulation
        simulation.crash("e")
        simulation.leave("f")
        simulation.run(2.0)
        self.start("e", address=MOVED)
        simulation.join("e", "a")
        simulation.run(5.0)
        simulation.crash("g")
        simulation.run(25.0)

    def isolate(self, name="h", seconds=30.0):
        """Cut one member off until the others have given it up."""
        self._cut(name, self.names, seconds)

    def deafen(self, name="h", seconds=40.0):
        """One member hears nothing and is heard, longer than the others want to hear of it."""
        others = [other for other in self.names if other != name]
        self.simulation.links.cut([(other, name) for other in others])
        self.simulation.run(seconds)
        self.simulation.links.heal()

    def split(self, seconds=60.0):
        """Cut the cluster into halves until each has given the other up."""
        self._cut(self.names[::2], self.names[1::2], seconds)

    def _cut(self, ours, theirs, seconds):
        simulation = self.simulation
        simulation.excuses.excuse(None, simulation.now + seconds + EXCUSED_SECONDS)
        pairs = [pair for one in ours for two in theirs for pair in ((one, two), (two, one))]
        simulation.links.cut(pairs)
        simulation.run(seconds)
        simulation.links.mend(pairs)

    def lone(self, name="k"):
        """A member that could join nobody, and is lost until it tries again."""
        simulation = self.simulation
        simulation.links.change(dial_refuse=1.0)
        self.start(name)
        simulation.join(name, self.names[0])
        simulation.run(1.0)
        simulation.links.change(dial_refuse=0.0)

    def settle(self, seconds=CALM_SECONDS):
        self.simulation.links.change(loss=0.0, duplicate=0.0, reorder=0.0)
        self.attached.calm()
        self.simulation.run(seconds)
        self.attached.finish()

    def play(self):
        self.form()
        self.work()
        self.flood()
        self.letters()
        self.ends()
        self.isolate()
        self.split()
        self.lone()
        self.settle()
        return self.findings


def ask_as_a_stranger(simulation, name):
    """A ping out of nowhere: it is answered, with no more bytes than it had."""
    codec = NativeCodec()
    packet = codec.pack([codec.encode(Ping(1, name, "nobody"))])
    simulation.inject(name, packet, STRANGER)


def ask_misled(simulation, asker, helper, target):
    """A member asks for help with another one, which it holds at a wrong address."""
    codec = NativeCodec()
    request = IndirectPing(1, target, MOVED, asker, 500)
    source = simulation.processes[asker].address
    simulation.inject(helper, codec.pack([codec.encode(request)]), source)
    simulation.run(2.0)


def test_a_helper_that_holds_the_target_elsewhere_troubles_no_checker():
    story = Story(*ALL)
    story.form()
    ask_misled(story.simulation, "a", "b", "c")
    story.settle()
    assert not story.findings.violations
    assert story.simulation.processes["b"].engine.statistics().counters["relay_elsewhere"] == 1


def test_a_correct_cluster_troubles_no_checker_and_gives_each_something_to_check():
    idle = []
    for detector in ("memberlist", "evidence"):
        story = Story(*ALL, detector=detector)
        findings = story.play()
        ask_as_a_stranger(story.simulation, "a")
        assert [str(violation) for violation in findings.violations] == []
        assert not findings.counts
        idle.append(set(findings.idle()) - OF_SEALED - ELSEWHERE)
    assert idle[0] == OF_EVIDENCE, "these have nothing to check of memberlist's rules"
    # Here a crash is found out before its member comes back at another address.
    assert idle[1] == OF_MEMBERLIST | {"moved-was-asked"}


@pytest.mark.parametrize("detector", ["memberlist", "evidence"])
@pytest.mark.parametrize("seed", range(4))
def test_small_clusters_trouble_no_checker_either(seed: int, detector: str):
    story = Story(*ALL, seed=seed, names="abcdefgh"[: 1 + seed], detector=detector)
    story.form()
    story.simulation.run(20.0)
    story.settle(60.0)
    assert story.findings.violations == []


def test_checkers_change_nothing_in_a_run():
    digests = set()
    for checkers in ((), ALL):
        story = Story(*checkers)
        story.form()
        story.work()
        digests.add(story.simulation.digest())
    assert len(digests) == 1


def test_a_checker_that_had_nothing_to_check_is_named():
    story = Story(*ALL)
    story.form()
    assert "healing" in story.findings.idle()
    assert "packet-limit" not in story.findings.idle()


def test_every_checker_has_a_name_of_its_own_and_says_what_it_demands():
    names = [checker.name for checker in ALL]
    assert len(set(names)) == len(names) >= 24
    for checker in ALL:
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", checker.name), checker
        assert checker.__doc__ is not None
        assert len(checker.__doc__) > 100, f"{checker.name}: rule, source and tolerance"


def test_every_violation_says_when_who_and_what():
    story = Story(*ALL)
    story.form()
    checker = story.attached.members[0]
    checker.wrong("this cannot be")
    (violation,) = story.findings.violations
    assert re.fullmatch(rf"t=\d+\.\d{{3}} {checker.name}: this cannot be", str(violation))


def test_ticks_come_once_a_second_of_virtual_time():
    ticks = []
    story = Story()
    story.form()
    story.attached._ticked.append(partial(ticks.append, None))
    story.simulation.run(30.0)
    assert 25 <= len(ticks) <= 31
