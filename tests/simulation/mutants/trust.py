"""Bugs in what is believed of strangers and of liars, and in checks of one's own settings."""

from __future__ import annotations

from tests.simulation.mutants.catalogue import mutant
from tests.simulation.mutants.patching import Patch
from trio_gossip import config
from trio_gossip.engine import claims, refutation, relay
from trio_gossip.engine.admission import Admission
from trio_gossip.engine.claims import Claims
from trio_gossip.engine.core import Engine
from trio_gossip.engine.lifeguard import Lifeguard
from trio_gossip.engine.mail import Mail
from trio_gossip.engine.node import ANSWERS_MAX, Node
from trio_gossip.engine.refutation import Refutation
from trio_gossip.engine.relay import Relay
from trio_gossip.errors import LocalProtocolError


@mutant(
    "any-accusation-is-plausible",
    check=("hostile-claims", "convergence", "claims-weighed"),
    why="memberlist 358 and 359: one accusation at the highest incarnation evicts for ever",
    needs=("hostile",),
    point=4,
)
def any_accusation_is_plausible(patch: Patch) -> None:
    """An accusation far above any incarnation that the member can have is believed."""
    patch.value(claims, "INCARNATION_JUMP_MAX", 1 << 63)


@mutant(
    "outbids-any-accusation",
    check=("hostile-claims", "incarnation-monotone", "claims-weighed"),
    why="memberlist 358: a member outbids whatever it hears, until there is nothing above",
    needs=("hostile",),
    point=4,
)
def outbids_any_accusation(patch: Patch) -> None:
    """A member answers an absurd accusation one above it, where the next lie ends the numbers."""
    patch.value(refutation, "OWN_JUMP_MAX", 1 << 63)


@mutant(
    "any-alive-is-plausible",
    check=("hostile-claims", "convergence", "claims-weighed"),
    why="slip: accusations are bounded and alive claims are not; hearsay takes a member where it"
    " cannot follow",
    needs=("hostile",),
    point=4,
)
def any_alive_is_plausible(patch: Patch) -> None:
    """An alive claim at second hand is believed at any incarnation."""
    patch.value(claims, "ALIVE_JUMP_MAX", 1 << 63)
    patch.value(claims, "FIRST_INCARNATION_MAX", 1 << 63)
    patch.value(claims, "OWN_JUMP_MAX", 1 << 63)


@mutant(
    "invented-accusers-count",
    check=("suspicion-duration", "hostile-claims", "claims-weighed"),
    why="slip: names are free, and each one shortens the suspicion",
    needs=("hostile",),
)
def invented_accusers_count(patch: Patch) -> None:
    """An accuser that is no member confirms a suspicion."""

    def confirm(original, self, claim, entry, tried):
        suspicion = self._of(claim.name)
        if suspicion.confirm(claim.accuser):
            self._node.timers.set(("suspicion", claim.name), suspicion.deadline)
            self._node.tell(claim)

    patch.wrap(Lifeguard, "confirm", confirm)


@mutant(
    "helps-strangers",
    check=("amplification", "relay-in-time"),
    why="memberlist pings any address for anybody, which makes it a tool to send packets at others",
    needs=("hostile",),
)
def helps_strangers(patch: Patch) -> None:
    """A request for help is served whoever it comes from."""

    def request(original, self, message, source):
        table = self._node.table
        if table.knows_address(source):
            original(self, message, source)
            return
        table._addresses[source] = ""
        original(self, message, source)
        del table._addresses[source]

    patch.wrap(Relay, "request", request)


@mutant(
    "helps-without-a-bound",
    check=("queue-bounds",),
    why="slip: requests for help are served until memory ends",
    needs=("hostile",),
)
def helps_without_a_bound(patch: Patch) -> None:
    """One member may have any number of helpers' pings under way."""
    patch.value(relay, "RELAYS_EACH_MAX", 1 << 30)
    patch.value(relay, "RELAYS_MAX", 1 << 30)


@mutant(
    "strangers-get-more-than-they-send",
    check=("amplification",),
    why="slip: a forged source is answered with more bytes than came",
    needs=("hostile",),
)
def strangers_get_more_than_they_send(patch: Patch) -> None:
    """Answers to an unknown address have no allowance."""

    def spend(original, self, message):
        return True

    patch.wrap(Node, "spend_allowance", spend)


@mutant(
    "one-packet-causes-any-number-of-answers",
    check=("amplification", "sends-per-rumour"),
    why="slip: each message of a packet is answered, a hundred of them as well",
    needs=("hostile",),
)
def one_packet_causes_any_number_of_answers(patch: Patch) -> None:
    """The number of answers and refutations in one turn has no bound."""

    def spend(original, self):
        if not self.answers:
            self.answers = ANSWERS_MAX
        return original(self)

    patch.wrap(Node, "spend_answer", spend)


@mutant(
    "an-unknown-origin-silences-a-member",
    check=("broadcast-to-all", "hostile-claims"),
    why="slip: the counter of a broadcast is remembered before its origin is known",
    needs=("hostile", "broadcasts"),
)
def an_unknown_origin_silences_a_member(patch: Patch) -> None:
    """A forged broadcast in a newcomer's name makes the newcomer's own ones pass for old."""

    def received(original, self, message):
        if self._node.table.get(message.origin) is None:
            self._seen.is_new(message.origin, message.epoch, message.counter)
        original(self, message)

    patch.wrap(Mail, "broadcast_received", received)


@mutant(
    "any-conflict-is-believed",
    check=("name-conflict", "hostile-claims"),
    why="slip: the sender of a conflict is not looked at, and each makes an event",
    needs=("hostile",),
)
def any_conflict_is_believed(patch: Patch) -> None:
    """A stranger's word is enough to tell the application of a conflict."""

    def conflict(original, self, message, source):
        mine = self._node.me.member
        if message.name == mine.name:
            self.report(mine, message.other)

    patch.wrap(Refutation, "conflict", conflict)


@mutant(
    "the-veto-is-asked-at-the-join-only",
    check=("admission",),
    why="al8n/memberlist fa2e35f, as in memberlist: a rejected peer got in at the next anti-entropy"
    " exchange",
    needs=("refusal",),
)
def the_veto_is_asked_at_the_join_only(patch: Patch) -> None:
    """Claims that come by gossip or in a peer's table pass without being asked about."""

    class Open:
        def admits(self, claim, entry, names=()):
            return True

    def init(original, self, node, admission, refutation, takeover, returns):
        original(self, node, Open(), refutation, takeover, returns)

    patch.wrap(Claims, "__init__", init)


@mutant(
    "versions-are-not-compared",
    check=("admission",),
    why="slip: the six version bytes are carried and never looked at",
    needs=("refusal",),
)
def versions_are_not_compared(patch: Patch) -> None:
    """Members that speak another protocol are let in."""

    def compatible(original, self, versions):
        return True

    patch.wrap(Admission, "compatible", compatible)


@mutant(
    "anybody-may-use-our-address",
    check=("hostile-claims", "no-false-failure", "claims-weighed"),
    why="slip: a claim of another name at one's own address is taken like any other",
    needs=("hostile", "aliases"),
)
def anybody_may_use_our_address(patch: Patch) -> None:
    """A second name at a member's own address is entered, and the member talks to itself."""

    def fault(original, self, claim, entry, names):
        found = original(self, claim, entry, names)
        return None if found == "refused_own_address" else found

    patch.wrap(Admission, "_fault", fault)


@mutant(
    "the-table-takes-everybody",
    check=("queue-bounds",),
    why="slip: the limit of members is a setting that nobody reads",
    needs=("crowd", "hostile"),
)
def the_table_takes_everybody(patch: Patch) -> None:
    """A liar may fill the memory with members that do not exist."""

    def fault(original, self, claim, entry, names):
        found = original(self, claim, entry, names)
        return None if found == "refused_table_full" else found

    patch.wrap(Admission, "_fault", fault)


@mutant(
    "settings-are-not-checked",
    check=("config-validation",),
    why="slip: settings that contradict each other are found out in production; no run can show it,"
    " as all scenarios have settings that are right",
    point=15,
)
def settings_are_not_checked(patch: Patch) -> None:
    """A probe timeout above the probe interval is taken, and other nonsense as well."""

    def faults(original, config):
        return iter(())

    patch.wrap(config, "config_faults", faults)


@mutant(
    "a-refused-command-has-an-effect",
    check=("events-match-table", "one-content"),
    why="slip: the state changes before the check that refuses the call",
    needs=("oversize",),
    point=13,
)
def a_refused_command_has_an_effect(patch: Patch) -> None:
    """Metadata that is too long raises, and has been announced all the same."""

    def update(original, self, meta, *, now):
        try:
            return original(self, meta, now=now)
        except LocalProtocolError:
            self._begin(now)
            self._presence.update_meta(meta[:512])
            raise

    patch.wrap(Engine, "update_meta", update)
