"""The member table: who is known, in which order to probe, whom to pick at random."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Final

import attrs

from trio_gossip.engine.tally import Tally, term_of
from trio_gossip.errors import LocalProtocolError
from trio_gossip.members import Member, MemberState

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator

    from trio_gossip.addresses import Address

TOMBSTONES_MAX: Final = 4096
"""Reaped members whose incarnation is remembered; beyond it the oldest is forgotten."""


@attrs.define(slots=True, weakref_slot=False, eq=False)
class Entry:
    """One row. ``member`` is immutable and may be shared; the rest is this node's own view.

    To be read only: what changes a row is a method of :class:`Membership`.

    Attributes:
        member: what is believed now.
        evidence: the highest incarnation of *all* admitted evidence. memberlist forgets the
            incarnation of accusations that it ignores, and then lets a stale alive through.
        changed_at: engine time of the last change of state.
    """

    member: Member
    evidence: int
    changed_at: float


@attrs.frozen(slots=True)
class Tombstone:
    """What is left of a reaped member until ``expires``: enough to know old news as old, and
    to look for it at its last address.
    """

    incarnation: int
    state: MemberState
    address: Address
    buried: float
    expires: float


class Membership:
    """The table behind a narrow interface: rows are read by all, changed only through here.

    A simulator may give an engine a table of a subclass. All changes of rows go through five
    methods, each of which may be overridden, to watch or to store otherwise: :meth:`insert`,
    :meth:`replace`, :meth:`witness`, :meth:`touch` and :meth:`bury`. A subclass that stores rows
    otherwise overrides the readers as well: ``len``, iteration, :meth:`get`,
    :meth:`knows_address`, :meth:`name_at`, :meth:`next_in_walk`, :meth:`pick`. The row that
    :meth:`adopt` returned must stay the same object for good: the engine keeps it.
    """

    __slots__ = (
        "_active",
        "_addresses",
        "_aliases",
        "_order",
        "_rows",
        "_tombstones",
        "_walk",
        "tally",
        "version",
    )

    def __init__(self) -> None:
        self._rows: dict[str, Entry] = {}
        self._order: list[Entry] = []
        self._walk = 0
        self._active = 0
        self._addresses: dict[Address, str] = {}
        self._aliases: dict[Address, list[str]] = {}
        self._tombstones: OrderedDict[str, Tombstone] = OrderedDict()
        self.version = 0
        """Counts changes that are told to the application."""
        self.tally = Tally()
        """Sums over the active members, for comparing tables."""

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._rows.values())

    @property
    def active(self) -> int:
        """Alive and suspect members, this node included: the N of all formulas."""
        return self._active

    def get(self, name: str) -> Entry | None:
        """The row of ``name``, in whatever state."""
        return self._rows.get(name)

    def knows_address(self, address: Address) -> bool:
        """True when some member in the table has this address."""
        return address in self._addresses

    def name_at(self, address: Address) -> str | None:
        """The member last seen at this address."""
        return self._addresses.get(address)

    def adopt(self, me: Member, *, now: float, rng: random.Random) -> Entry:
        """The row of the member that this table belongs to: the one that is there, or a new one.

        Raises:
            LocalProtocolError: the table has another claim for this name.
        """
        entry = self.get(me.name)
        if entry is None:
            return self.insert(me, now=now, rng=rng)
        if entry.member != me:
            raise LocalProtocolError(f"the table has {entry.member} where this member is {me}")
        return entry

    def insert(self, member: Member, *, now: float, rng: random.Random) -> Entry:
        """Add a member at a random place of the probe order.

        The newcomer changes places with a random row, so that the mean time to its first
        probe stays low and joins do not bunch up at the end of a round.
        """
        entry = Entry(member, member.incarnation, now)
        self._rows[member.name] = entry
        self._take_address(member)
        self._active += member.is_active
        self.tally.change(member.name, 0, term_of(member), now=now)
        self._place(entry, rng)
        self._tombstones.pop(member.name, None)
        return entry

    def _place(self, entry: Entry, rng: random.Random) -> None:
        """Put a new row into the probe order."""
        order = self._order
        order.append(entry)
        other = int(rng.random() * len(order))
        order[other], order[-1] = order[-1], order[other]

    def replace(self, entry: Entry, member: Member, *, now: float) -> Entry:
        """Change what is believed of a member; returns the row to go on with.

        Here that is ``entry``. A table whose rows are shared may return another one.
        """
        old = entry.member
        self._active += member.is_active - old.is_active
        self.tally.change(member.name, term_of(old), term_of(member), now=now)
        if member.address != old.address:
            self._drop_address(old)
            self._take_address(member)
        if member.state is not old.state:
            entry.changed_at = now
        entry.member = member
        entry.evidence = max(entry.evidence, member.incarnation)
        return entry

    def witness(self, entry: Entry, incarnation: int) -> None:
        """Note admitted evidence of an incarnation that changes nothing else."""
        entry.evidence = max(entry.evidence, incarnation)

    def touch(self, entry: Entry, *, now: float) -> None:
        """Say that the state of a row is as old as ``now``."""
        entry.changed_at = now

    def bury(self, entry: Entry, *, now: float, keep: float) -> None:
        """Remove a row and keep its tombstone for ``keep`` seconds."""
        member = entry.member
        self._displace(entry)
        self._drop_address(member)
        self._active -= member.is_active
        self.tally.change(member.name, term_of(member), 0, now=now)
        self._tombstones[member.name] = Tombstone(
            entry.evidence, member.state, member.address, now, now + keep
        )
        if len(self._tombstones) > TOMBSTONES_MAX:
            self._tombstones.popitem(last=False)

    def _displace(self, entry: Entry) -> None:
        """Take a row out of the table and of the probe order; nobody is skipped for it."""
        del self._rows[entry.member.name]
        at = self._order.index(entry)
        del self._order[at]
        self._walk -= at < self._walk

    def _take_address(self, member: Member) -> None:
        former = self._addresses.get(member.address)
        if former is not None:
            self._aliases.setdefault(member.address, []).append(former)
        self._addresses[member.address] = member.name

    def _drop_address(self, member: Member) -> None:
        """Forget one owner of an address; another name may claim the same one, truly or not."""
        address = member.address
        others = self._aliases.get(address)
        if others is None:
            del self._addresses[address]
            return
        if self._addresses[address] == member.name:
            self._addresses[address] = others.pop()
        else:
            others.remove(member.name)
        if not others:
            del self._aliases[address]

    def tombstone(self, name: str, *, now: float) -> Tombstone | None:
        """What is remembered of a reaped member."""
        found = self._tombstones.get(name)
        if found is not None and found.expires <= now:
            del self._tombstones[name]
            return None
        return found

    def tombstones(self) -> Iterator[tuple[str, Tombstone]]:
        """All that is remembered of reaped members, some of it perhaps expired."""
        return iter(self._tombstones.items())

    @property
    def tombstones_full(self) -> bool:
        """True when the next burial forgets the oldest tombstone."""
        return len(self._tombstones) >= TOMBSTONES_MAX

    def next_in_walk(self, wanted: Callable[[Entry], bool], rng: random.Random) -> Entry | None:
        """The next wanted row in the probe order, which is shuffled after each round.

        Every member that stays wanted is met once a round, so two probes of it are at most
        two rounds apart (SWIM section 4.3).
        """
        order = self._order
        for _ in range(len(order) + 1):
            if self._walk >= len(order):
                rng.shuffle(order)
                self._walk = 0
            entry = order[self._walk]
            self._walk += 1
            if wanted(entry):
                return entry
        return None

    def pick(self, count: int, wanted: Callable[[Entry], bool], rng: random.Random) -> list[Entry]:
        """Up to ``count`` different random rows that are wanted.

        In small tables every row is looked at; in large ones up to three draws for each row,
        as memberlist does, which finds fewer only when hardly any row is wanted. None are found
        only when none is wanted: what then waits for a next round would wait for ever.
        """
        order = self._order
        size = len(order)
        chosen: list[Entry] = []
        if count <= 0:
            return chosen
        if size < 3 * count:
            for entry in rng.sample(order, size):
                if wanted(entry):
                    chosen.append(entry)
                    if len(chosen) == count:
                        break
            return chosen
        draw = rng.random
        for _ in range(3 * size):
            entry = order[int(draw() * size)]
            if entry not in chosen and wanted(entry):
                chosen.append(entry)
                if len(chosen) == count:
                    break
        if not chosen:
            rest = [entry for entry in order if wanted(entry)]
            return rng.sample(rest, min(count, len(rest)))
        return chosen
