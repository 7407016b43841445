"""Bugs in what happens when a name turns up at another address."""

from __future__ import annotations

from tests.simulation.mutants.catalogue import mutant
from tests.simulation.mutants.patching import Patch
from trio_gossip.engine import takeover
from trio_gossip.engine.refutation import Refutation
from trio_gossip.engine.takeover import Takeover


@mutant(
    "a-name-moves-without-a-question",
    check=("one-content", "name-conflict", "moved-was-asked"),
    why="slip: the newer incarnation wins, wherever it comes from",
    needs=("twin", "move"),
    point=7,
)
def a_name_moves_without_a_question(patch: Patch) -> None:
    """A claim of a live member's name at another address is believed without asking the old one, so
    that two processes of one name push each other out.
    """

    def must_verify(original, self, claim, entry, origin):
        return False

    patch.wrap(Takeover, "must_verify", must_verify)


@mutant(
    "a-name-never-moves-while-alive",
    check=("takeover-bound", "convergence", "alive-is-heard"),
    why="memberlist refuses another address for a name until the old record is gone",
    needs=("move",),
    point=7,
)
def a_name_never_moves_while_alive(patch: Patch) -> None:
    """A process that comes back at another address stays out until its former life is declared
    failed.
    """

    def verify(original, self, claim, entry, origin):
        self._node.counters.bump("takeover_refused")

    patch.wrap(Takeover, "verify", verify)


@mutant(
    "a-name-never-moves-while-remembered",
    check=("takeover-bound", "convergence", "healing", "alive-is-heard"),
    why="memberlist, DeadNodeReclaimTime: by default a dead record's name cannot be taken over",
    needs=("move",),
    point=7,
)
def a_name_never_moves_while_remembered(patch: Patch) -> None:
    """A failed or left member cannot come back at another address before it is reaped."""

    def must_verify(original, self, claim, entry, origin):
        if claim.address != entry.member.address and not entry.member.is_active:
            return True
        return original(self, claim, entry, origin)

    def verify(original, self, claim, entry, origin):
        if entry.member.is_active:
            original(self, claim, entry, origin)

    patch.wrap(Takeover, "must_verify", must_verify)
    patch.wrap(Takeover, "verify", verify)


@mutant(
    "silence-of-the-old-address-is-forgotten",
    check=("takeover-bound", "convergence", "alive-is-heard"),
    why="slip: the question is asked and its end is not handled",
    needs=("move",),
    point=7,
)
def silence_of_the_old_address_is_forgotten(patch: Patch) -> None:
    """The old address is asked, stays silent, and nothing follows from it."""

    def silent(original, self, name):
        self._drop(name)

    patch.wrap(Takeover, "_silent", silent)


@mutant(
    "an-answer-of-the-old-address-is-ignored",
    check=("name-conflict", "one-content"),
    why="slip: the answer to the ping of the old address is counted and not used",
    needs=("twin",),
    point=7,
)
def an_answer_of_the_old_address_is_ignored(patch: Patch) -> None:
    """The name moves although its holder answers."""

    def answered(original, self, name):
        pass

    patch.wrap(Takeover, "_answered", answered)


@mutant(
    "the-new-address-is-asked",
    check=("takeover-bound", "name-conflict", "convergence", "pings-go-home"),
    why="slip: the wrong one of two addresses",
    needs=("move",),
    point=7,
)
def the_new_address_is_asked(patch: Patch) -> None:
    """The new address of a name is asked whether the old one is silent; it answers, and a restarted
    process counts as a conflict with its own former life.
    """

    def step(original, self, name):
        pending = self._pending[name]
        old, pending.old = pending.old, pending.claim.address
        original(self, name)
        pending.old = old

    patch.wrap(Takeover, "step", step)


@mutant(
    "a-conflict-is-settled-in-silence",
    check=("name-conflict",),
    why="slip: the conflict is counted and no application hears of it",
    needs=("twin",),
    point=7,
)
def a_conflict_is_settled_in_silence(patch: Patch) -> None:
    """Two live processes of one name are found out, and nobody is told."""

    def report(original, self, existing, other):
        self._node.counters.bump("name_conflict")

    patch.wrap(Refutation, "report", report)


@mutant(
    "a-conflict-is-told-again-and-again",
    check=("name-conflict", "queue-bounds"),
    why="slip: each claim of the other process is a conflict of its own",
    needs=("twin",),
)
def a_conflict_is_told_again_and_again(patch: Patch) -> None:
    """An application gets an event for each packet of the other claimant."""

    def report(original, self, existing, other):
        self._told.clear()
        original(self, existing, other)

    patch.wrap(Refutation, "report", report)
    patch.value(takeover, "VERDICT_QUIET", 0.0)


@mutant(
    "anybody-may-vouch",
    check=("name-conflict", "one-content", "no-false-failure", "moved-was-asked"),
    why="slip: a claim that names a voucher is believed, whoever sent it",
    needs=("hostile",),
    point=7,
)
def anybody_may_vouch(patch: Patch) -> None:
    """A forged claim with a member's name as voucher moves another member anywhere."""

    def must_verify(original, self, claim, entry, origin):
        return not claim.vouched_by and original(self, claim, entry, origin)

    patch.wrap(Takeover, "must_verify", must_verify)
