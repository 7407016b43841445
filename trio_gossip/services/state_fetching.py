"""Long records: gossip announces them, and members fetch them by stream from who has them."""

from __future__ import annotations

import math
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import attrs

from trio_gossip.codec import DecodeError
from trio_gossip.errors import LocalProtocolError
from trio_gossip.services.base import MOMENT
from trio_gossip.services.state_delta import Announced
from trio_gossip.services.state_wire import encode_announced, parse_news_untrusted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from trio_gossip.services.base import Host
    from trio_gossip.services.state_records import Plane, Record
    from trio_gossip.services.state_replica import Replica

FETCHES_MAX: Final = 16
"""Long records that are under way to us at once: a megabyte. Others wait."""

FETCHES_EACH_MAX: Final = 4
"""Of these from one member, so that one that is slow or silent does not hold up the others."""

WANTED_MAX: Final = 256
"""Long records that wait or are under way; a further one waits for its next announcement."""

WANTED_EACH_MAX: Final = 64
"""Of these, those of which one member told first."""

TELLERS_MAX: Final = 8
"""Members remembered for each that said they have it and were not asked yet."""

FETCH_SECONDS: Final = 1.0
"""Seconds after which another one of them is asked, be it that the last has not answered yet."""

GIVE_UP_SECONDS: Final = 20.0
"""Seconds after which one is not fetched any more; comparing finds it."""

_Place: TypeAlias = "tuple[Plane, str, str]"
"""Plane, writer and key: of one place only the newest record is worth fetching."""


@attrs.define(eq=False)
class _Wanted:
    news: Announced
    first: str
    tellers: list[str]
    until: float
    ask_at: float
    asked: int = 0
    """Requests for it that are under way."""


class Fetching:
    """Fetches what is announced, once, from a member that said it has it.

    Only who has a record announces it. So the first to fetch are the few members that its writer
    told, each of them is asked by those that it told in turn, and nobody sends it to all.

    Args:
        host: the engine.
        replicas: of both planes.
        fetched: takes each record that came.
        changed: called when :attr:`deadline` may have changed.
    """

    def __init__(
        self,
        host: Host,
        replicas: Mapping[Plane, Replica],
        fetched: Callable[[Plane, Record], None],
        changed: Callable[[], None],
    ) -> None:
        self._host = host
        self._replicas = replicas
        self._fetched = fetched
        self._changed = changed
        self._wanted: dict[_Place, _Wanted] = {}
        self._under_way: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._wanted)

    @property
    def deadline(self) -> float:
        """Engine time at which :meth:`step` has something to do; inf for never."""
        times = [
            min(wanted.until, wanted.ask_at if wanted.tellers else math.inf)
            for wanted in self._wanted.values()
        ]
        return min(times, default=math.inf)

    def announced(self, news: Announced, source: str) -> None:
        """``source`` says that it has a long record."""
        if not self._replicas[news.plane].lacks(*news.dot):
            self._host.bump("state_old")
            return
        place = (news.plane, news.writer, news.key)
        wanted = self._wanted.get(place)
        if wanted is not None and wanted.news.dot >= news.dot:
            is_new = wanted.news == news and source not in wanted.tellers
            if is_new and len(wanted.tellers) < TELLERS_MAX:
                wanted.tellers.append(source)
                self.step()
            return
        if wanted is None and not self._has_room(source):
            self._host.bump("state_not_fetched")
            return
        now = self._host.now
        self._wanted[place] = _Wanted(news, source, [source], now + GIVE_UP_SECONDS, now)
        self.step()

    def step(self) -> None:
        """Ask for what may be asked for now; forget what has come otherwise or took too long."""
        now = self._host.now + MOMENT
        for place, wanted in list(self._wanted.items()):
            if not self._replicas[wanted.news.plane].lacks(*wanted.news.dot):
                del self._wanted[place]
            elif wanted.until <= now:
                self._give_up(place)
            elif wanted.ask_at <= now:
                self._ask(place, wanted)
        self._changed()

    def _has_room(self, source: str) -> bool:
        wanted = self._wanted.values()
        of_it = sum(each.first == source for each in wanted)
        return len(wanted) < WANTED_MAX and of_it < WANTED_EACH_MAX

    def _ask(self, place: _Place, wanted: _Wanted) -> None:
        if self._under_way.total() >= FETCHES_MAX:
            wanted.ask_at = self._host.now + FETCH_SECONDS
            return
        free = [each for each in wanted.tellers if self._under_way[each] < FETCHES_EACH_MAX]
        if not free:
            wanted.ask_at = self._host.now + FETCH_SECONDS
            return
        teller = self._host.rng.choice(free)
        wanted.tellers.remove(teller)
        wanted.ask_at = self._host.now + FETCH_SECONDS
        try:
            payload = encode_announced(wanted.news)
            self._host.request(teller, payload, partial(self._answered, place, wanted, teller))
        except LocalProtocolError:  # it is gone, or too many requests are under way
            self._failed(place, wanted)
        else:
            wanted.asked += 1
            self._under_way[teller] += 1

    def _answered(
        self, place: _Place, wanted: _Wanted, teller: str, answer: bytes | Exception
    ) -> None:
        wanted.asked -= 1
        self._under_way[teller] -= 1
        if not self._under_way[teller]:
            del self._under_way[teller]
        record = self._read(wanted.news, answer)
        if record is None:
            self._failed(place, wanted)
        else:
            self._host.bump("state_fetched")
            self._fetched(wanted.news.plane, record)
            if self._wanted.get(place) is wanted:
                del self._wanted[place]
        # A place is free.
        for waiting in self._wanted.values():
            if not waiting.asked:
                waiting.ask_at = self._host.now
        self.step()

    def _read(self, news: Announced, answer: bytes | Exception) -> Record | None:
        if isinstance(answer, Exception):
            return None
        try:
            read = parse_news_untrusted(answer)
        except DecodeError:
            self._host.bump("state_malformed")
            return None
        if isinstance(read, Announced):
            return None
        plane, record = read
        found = (plane, *record.dot, record.key)
        return record if found == (news.plane, *news.dot, news.key) else None

    def _failed(self, place: _Place, wanted: _Wanted) -> None:
        self._host.bump("state_fetch_failed")
        is_lost = not wanted.tellers and not wanted.asked
        if is_lost and self._wanted.get(place) is wanted:
            self._give_up(place)
        else:
            wanted.ask_at = self._host.now

    def _give_up(self, place: _Place) -> None:
        del self._wanted[place]
        self._host.bump("state_fetch_lost")
