"""Bugs in the answers of the failure detector: acks, nacks, and pings on behalf of others."""

from __future__ import annotations

from tests.simulation.mutants.catalogue import mutant
from tests.simulation.mutants.patching import Patch
from trio_gossip.codec.messages import Ack, Nack
from trio_gossip.engine import relay
from trio_gossip.engine.node import Node
from trio_gossip.engine.outbox import Outbox
from trio_gossip.engine.probe import Probe
from trio_gossip.engine.questions import Questions
from trio_gossip.engine.relay import Relay
from trio_gossip.members import MemberState


@mutant(
    "the-target-may-help",
    check=("probe-rate", "helpers-asked"),
    why="al8n/memberlist 175: the target of a probe, or a second name at its address, was asked to"
    " help",
    needs=("loss",),
)
def the_target_may_help(patch: Patch) -> None:
    """The silent member itself is asked to ping the silent member."""

    def peers(original, self, count, *, besides=None, after=()):
        return original(self, count)

    patch.wrap(Node, "peers", peers)


@mutant(
    "two-names-are-two-helpers",
    check=("probe-rate", "helpers-asked"),
    why="al8n/memberlist 175: two names with one address counted as two helpers",
    needs=("aliases", "loss"),
)
def two_names_are_two_helpers(patch: Patch) -> None:
    """Helpers and peers are told apart by name, not by address."""

    def peers(original, self, count, *, besides=None, after=()):
        def wanted(entry):
            member = entry.member
            is_target = besides is not None and member.name == besides.name
            return member.state is MemberState.ALIVE and entry is not self.me and not is_target

        return self.table.pick(count, wanted, self.rng)

    patch.wrap(Node, "peers", peers)


@mutant(
    "no-nack",
    check=("probe-rate", "detection-bound", "relay-in-time"),
    why="slip: the helper gives up without a word (Lifeguard section IV-A needs its nack)",
)
def no_nack(patch: Patch) -> None:
    """A helper that could not reach the target stays silent, so that the asker blames itself."""

    def reply(original, self, relayed, message):
        if type(message) is not Nack:
            original(self, relayed, message)

    patch.wrap(Relay, "_reply", reply)


@mutant(
    "the-nack-comes-too-late",
    check=("probe-rate", "detection-bound", "relay-in-time"),
    why="memberlist: the helper waits its own whole probe timeout, which is over when the asker's"
    " round is",
    point=1,
)
def the_nack_comes_too_late(patch: Patch) -> None:
    """A helper sends its nack when the asker has given up, and the asker blames itself."""
    patch.value(relay, "NACK_FRACTION", 1.25)


@mutant(
    "anybody-may-nack",
    check=("probe-rate", "health-score"),
    why="al8n/memberlist, tests of its core: nacks of one peer hid that all others were silent",
    needs=("hostile",),
)
def anybody_may_nack(patch: Patch) -> None:
    """A nack counts without a look at who sent it, and as often as it comes."""

    def nacked(original, self, helper):
        for asked, answered in self._helpers.items():
            if not answered:
                self._helpers[asked] = True
                return True
        return False

    patch.wrap(Probe, "nacked", nacked)


@mutant(
    "a-nack-counts-as-an-ack",
    check=("detection-bound",),
    why="slip: a helper has answered, so somebody is there",
)
def a_nack_counts_as_an_ack(patch: Patch) -> None:
    """A dead member is thought alive as long as a helper is: its nack ends the probe well."""

    def on_nack(original, self, message, source):
        if message.sequence in self._open:
            self.on_ack(Ack(message.sequence), source)
        else:
            original(self, message, source)

    patch.wrap(Questions, "on_nack", on_nack)


@mutant(
    "a-late-ack-counts-for-the-next-probe",
    check=("detection-bound", "acks-match"),
    why="icgood/swim-protocol: any ack, also a late or repeated one, ended the present probe",
    needs=("loss", "duplication", "reorder"),
)
def a_late_ack_counts_for_the_next_probe(patch: Patch) -> None:
    """An ack whose question is over answers whichever question is open."""

    def on_ack(original, self, message, source):
        if message.sequence not in self._open and self._open:
            message = Ack(next(iter(self._open)))
        original(self, message, source)

    patch.wrap(Questions, "on_ack", on_ack)


@mutant(
    "the-helper-answers-the-target",
    check=("probe-rate", "no-false-failure", "relay-in-time"),
    why="slip: the wrong one of two addresses in the helper's answer",
    needs=("loss", "datagram cut"),
)
def the_helper_answers_the_target(patch: Patch) -> None:
    """A helper sends the good news to the member that it has just reached, not to who asked."""

    def acked(original, self, sequence, source):
        self.reached = source
        original(self, sequence, source)

    def reply(original, self, relayed, message):
        if type(message) is Ack:
            relayed.requester = self.reached
        original(self, relayed, message)

    patch.wrap(Relay, "_acked", acked)
    patch.wrap(Relay, "_reply", reply)


@mutant(
    "the-helper-pings-the-asker",
    check=("probe-rate", "no-false-failure", "relay-in-time", "pings-go-home"),
    why="slip: the helper pings the address that the request came from",
    needs=("loss", "datagram cut"),
)
def the_helper_pings_the_asker(patch: Patch) -> None:
    """A helper's ping goes to who asked for help, who drops it as a ping for another."""

    askers = []

    def request(original, self, message, source):
        askers.append(source)
        original(self, message, source)
        askers.pop()

    def packet(original, self, address, peer_name, *messages, piggyback=True):
        if askers:
            address = askers[-1]
        original(self, address, peer_name, *messages, piggyback=piggyback)

    patch.wrap(Relay, "request", request)
    patch.wrap(Outbox, "packet", packet)


@mutant(
    "the-helper-answers-with-its-own-number",
    check=("probe-rate", "no-false-failure", "relay-in-time"),
    why="slip: the sequence of the helper's own ping in the ack that it passes on",
    needs=("loss", "datagram cut"),
)
def the_helper_answers_with_its_own_number(patch: Patch) -> None:
    """What a helper passes on answers no question of the asker."""

    def acked(original, self, sequence, source):
        self._open[sequence].sequence = sequence
        original(self, sequence, source)

    patch.wrap(Relay, "_acked", acked)


@mutant(
    "answers-pings-for-others",
    check=("detection-bound", "pings-answered"),
    why="slip: the name in a ping is not looked at; another name at the address keeps a dead one"
    " alive",
    needs=("aliases",),
)
def answers_pings_for_others(patch: Patch) -> None:
    """A process answers every ping that reaches it, also for the name that lived there before."""

    def ping(original, self, message, source):
        message.target = self._node.name
        original(self, message, source)

    patch.wrap(Relay, "ping", ping)


@mutant(
    "the-helper-asks-where-it-holds-the-member",
    check=("relay-in-time",),
    why="slip: the address in a request for help is not compared with one's own; a wrong address"
    " then passes for a good one",
    needs=("move", "loss"),
)
def the_helper_asks_where_it_holds_the_member(patch: Patch) -> None:
    """A helper says that a member answers, though not where the asker holds it."""

    def request(original, self, message, source):
        entry = self._node.table.get(message.target)
        if entry is not None:
            message.address = entry.member.address
        original(self, message, source)

    patch.wrap(Relay, "request", request)


@mutant(
    "a-helper-that-knows-better-is-silent",
    check=("relay-in-time", "health-score"),
    why="slip: one of two ways out of a request has no nack, so that the asker blames itself",
    needs=("move", "loss"),
)
def a_helper_that_knows_better_is_silent(patch: Patch) -> None:
    """A helper that holds the member at another address does not answer at all."""

    def request(original, self, message, source):
        entry = self._node.table.get(message.target)
        if entry is not None and entry.member.address != message.address:
            message.want_nack = False
        original(self, message, source)

    patch.wrap(Relay, "request", request)


@mutant(
    "places-of-helpers-are-never-freed",
    check=("relay-in-time", "helpers-asked"),
    why="slip: the number of requests of one member goes up and never down",
    needs=("loss", "long run"),
)
def places_of_helpers_are_never_freed(patch: Patch) -> None:
    """After sixteen requests of one member a helper refuses all others of it."""

    def close(original, self, sequence):
        asked = self._asked_by[self._open[sequence].requester]
        relayed = original(self, sequence)
        self._asked_by[relayed.requester] = asked
        return relayed

    patch.wrap(Relay, "_close", close)
