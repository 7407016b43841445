"""A member table for thousands of engines in one process: all share what none has changed.

With a table of its own for each, N engines that know each other need memory for N * N rows. Here
one :class:`TableBase` is made for all, and a :class:`SharedTable` keeps only what its node sees
otherwise: at rest one row, the node's own.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NoReturn

import attrs

from trio_gossip.engine.membership import Entry, Membership
from trio_gossip.engine.tally import Tally
from trio_gossip.members import MemberState

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from trio_gossip.addresses import Address
    from trio_gossip.members import Member


class SharedEntry(Entry):
    """A row of a base. To change it raises, as it would change what all nodes believe."""

    __slots__ = ()

    def __init__(self, member: Member, changed_at: float) -> None:
        values = {"member": member, "evidence": member.incarnation, "changed_at": changed_at}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{self.member.name}: a shared row never changes")


@attrs.frozen(slots=True, weakref_slot=False, eq=False)
class TableBase:
    """What all nodes of a converged cluster know. Made once, shared by all, never changed.

    Attributes:
        entries: a row for each member, in the order in which they were given.
        rows: the same by name.
        names: the member at each address.
        digest, buckets: the sums over all of them, see :class:`~trio_gossip.engine.tally.Tally`.
    """

    entries: tuple[SharedEntry, ...]
    rows: Mapping[str, SharedEntry]
    names: Mapping[Address, str]
    digest: int
    buckets: tuple[int, ...]

    @classmethod
    def of(cls, members: Sequence[Member], *, now: float = 0.0) -> TableBase:
        """The base of a cluster of these members, all alive since ``now``.

        Raises:
            ValueError: there are none, one is not alive, or two share a name or an address. A
                suspect or a dead member has timers in every engine, which no base can give.
        """
        for member in members:
            if member.state is not MemberState.ALIVE:
                raise ValueError(f"{member.name} is {member.state}, not alive")
        entries = tuple(SharedEntry(member, now) for member in members)
        rows = {entry.member.name: entry for entry in entries}
        names = {member.address: member.name for member in members}
        if not len(names) == len(rows) == len(entries) > 0:
            raise ValueError("a base needs members, each with its own name and address")
        tally = Tally.of(members)
        return cls(entries, rows, names, tally.digest, tuple(tally.buckets))


class SharedTable(Membership):
    """A table of one node on a base that it shares. It is used and behaves like its parent.

    Rows that no change has touched are those of the base, the same objects for all nodes. The
    first change of a row makes a private copy. What the parent stores means less here: ``_rows``
    has the private rows alone, ``_order`` the newcomers (members that the base lacks), and
    ``_addresses`` the addresses in ``_moved`` alone, whose owners are not as in the base.

    The probe order is a permutation that is computed, not stored: in each round, position ``i``
    has slot ``(start + step * i) mod size``, with ``start`` and ``step`` drawn anew for the round.
    Slots are the members of the base, then the newcomers. So every member is met once a
    round. As in the parent, a newcomer changes places with a random slot: it is met in this
    round, or, if that place was passed already, in the next. A buried member leaves its slot empty
    until it comes back or, if it was a newcomer, until another newcomer takes it.

    There are no ``__slots__``, so that another subclass of the parent can be mixed in.

    Args:
        base: what this node knows at first.
        rng: draws the first order; may be the engine's own.
    """

    def __init__(self, base: TableBase, rng: random.Random) -> None:
        super().__init__()
        self._base = base
        self.tally = Tally(base.digest, base.buckets)
        self._active = len(base.entries)
        self._gone: dict[str, None] = {}  # buried members of the base
        self._holes: list[int] = []  # places of buried newcomers in _order
        self._moved: dict[Address, None] = {}
        self._swaps: dict[int, int] = {}  # slots at positions that the formula has otherwise
        self._begin_round(rng)

    # -- reading ------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._slots - len(self._gone) - len(self._holes)

    def __iter__(self) -> Iterator[Entry]:
        rows: dict[str, Entry] = {**self._base.rows, **self._rows}  # faster than to ask for each
        for name in self._gone:
            del rows[name]
        return iter(rows.values())

    def get(self, name: str) -> Entry | None:
        """The row of ``name``, perhaps a shared one."""
        found = self._rows.get(name)
        if found is not None or name in self._gone:
            return found
        return self._base.rows.get(name)

    def knows_address(self, address: Address) -> bool:
        """True when some member in the table has this address."""
        return self.name_at(address) is not None

    def name_at(self, address: Address) -> str | None:
        """The member last seen at this address."""
        found = self._addresses.get(address)
        if found is not None or address in self._moved:
            return found
        return self._base.names.get(address)

    # -- changing: copy on write --------------------------------------------------------

    def adopt(self, me: Member, *, now: float, rng: random.Random) -> Entry:
        """This node's own row, private from the start: the engine keeps the object."""
        return self._own(super().adopt(me, now=now, rng=rng))

    def replace(self, entry: Entry, member: Member, *, now: float) -> Entry:
        """Change what is believed of a member; returns its private row."""
        return super().replace(self._own(entry), member, now=now)

    def witness(self, entry: Entry, incarnation: int) -> None:
        """Note admitted evidence; copies the row only if it is news."""
        if incarnation > entry.evidence:
            super().witness(self._own(entry), incarnation)

    def touch(self, entry: Entry, *, now: float) -> None:
        """Say that the state of a row is as old as ``now``."""
        super().touch(self._own(entry), now=now)

    def bury(self, entry: Entry, *, now: float, keep: float) -> None:
        """Remove a row and keep its tombstone for ``keep`` seconds."""
        super().bury(self._rows.get(entry.member.name, entry), now=now, keep=keep)

    def _own(self, entry: Entry) -> Entry:
        """The private row of the same member; made of ``entry`` if there is none."""
        name = entry.member.name
        own = self._rows.get(name)
        if own is None:
            own = self._rows[name] = Entry(entry.member, entry.evidence, entry.changed_at)
        return own

    def _take_address(self, member: Member) -> None:
        self._move(member.address)
        super()._take_address(member)

    def _drop_address(self, member: Member) -> None:
        self._move(member.address)
        super()._drop_address(member)

    def _move(self, address: Address) -> None:
        """From now on ``_addresses`` speaks for this address, not the base."""
        if address not in self._moved and address in self._base.names:
            self._moved[address] = None
            self._addresses[address] = self._base.names[address]

    # -- the probe order ----------------------------------------------------------------

    @property
    def _slots(self) -> int:
        return len(self._base.entries) + len(self._order)

    def _place(self, entry: Entry, rng: random.Random) -> None:
        name = entry.member.name
        if name in self._base.rows:
            del self._gone[name]
        elif self._holes:
            self._order[self._holes.pop()] = entry
        else:
            self._order.append(entry)
            last = self._slots - 1
            other = int(rng.random() * (last + 1))
            self._swaps[last] = last
            self._swaps[other], self._swaps[last] = last, self._slot_at(other)

    def _displace(self, entry: Entry) -> None:
        name = entry.member.name
        self._rows.pop(name, None)
        if name in self._base.rows:
            self._gone[name] = None
        else:
            self._holes.append(self._order.index(entry))

    def _begin_round(self, rng: random.Random) -> None:
        """Draw another order; ``step`` and ``size`` without a common factor reach every slot."""
        self._walk = 0
        self._size = size = self._slots
        self._swaps.clear()
        self._start = int(rng.random() * size)
        self._step = 1 + int(rng.random() * size)
        while math.gcd(self._step, size) != 1:
            self._step = 1 + int(rng.random() * size)

    def _slot_at(self, position: int) -> int:
        """The slot at a position of this round."""
        slot = self._swaps.get(position)
        return (self._start + self._step * position) % self._size if slot is None else slot

    def _row_in(self, slot: int) -> Entry | None:
        """The row in a slot, None when it is empty."""
        base = self._base.entries
        if slot >= len(base):
            entry = self._order[slot - len(base)]
            return entry if self._rows.get(entry.member.name) is entry else None
        shared = base[slot]
        name = shared.member.name
        own = self._rows.get(name)
        return shared if own is None and name not in self._gone else own

    def next_in_walk(self, wanted: Callable[[Entry], bool], rng: random.Random) -> Entry | None:
        """The next wanted row in the probe order, which is drawn anew after each round."""
        for _ in range(self._slots + 1):
            if self._walk >= self._slots:
                self._begin_round(rng)
            entry = self._row_in(self._slot_at(self._walk))
            self._walk += 1
            if entry is not None and wanted(entry):
                return entry
        return None

    def pick(self, count: int, wanted: Callable[[Entry], bool], rng: random.Random) -> list[Entry]:
        """Up to ``count`` different random rows that are wanted, found as the parent does."""
        size = self._slots
        chosen: list[Entry] = []
        if count <= 0:
            return chosen
        few = size < 3 * count
        draws = rng.sample(range(size), size) if few else _draws(size, rng)
        for slot in draws:
            entry = self._row_in(slot)
            if entry is not None and entry not in chosen and wanted(entry):
                chosen.append(entry)
                if len(chosen) == count:
                    break
        if not chosen and not few:
            rows = (self._row_in(slot) for slot in range(size))
            rest = [entry for entry in rows if entry is not None and wanted(entry)]
            return rng.sample(rest, min(count, len(rest)))
        return chosen


def _draws(size: int, rng: random.Random) -> Iterator[int]:
    """Up to three draws for each slot."""
    for _ in range(3 * size):
        yield int(rng.random() * size)
