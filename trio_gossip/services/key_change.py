"""The asking side of one operation: check everywhere, then do it everywhere, or nowhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import attrs

from trio_gossip.services.key_keeper import LEASE_SECONDS
from trio_gossip.services.key_report import KeyAnswer, KeyChangeError, KeyReport
from trio_gossip.services.key_round import KeyRound
from trio_gossip.services.key_wire import KeyOperation, KeyRequest, Phase

if TYPE_CHECKING:
    from trio_gossip.services.base import Host

CHECK_SECONDS: Final = LEASE_SECONDS / 2
"""Longest time for the checks; the rest of the lease is for doing it."""

NEWCOMER: Final = KeyAnswer(ok=False, error="came during the change")
"""Stands for a member that was not there when the change was checked."""


class KeyListing:
    """Asks all active members for the ids of their keys."""

    def __init__(
        self,
        host: Host,
        locally: Callable[[KeyRequest], KeyAnswer],
        ended: Callable[[KeyReport], None],
    ) -> None:
        request = KeyRequest(KeyOperation.LIST, Phase.CHECK)
        names = [member.name for member in host.members()]
        self._ended = ended
        self._round = KeyRound(host, request, names, locally, self._done)

    def start(self) -> None:
        """Ask."""
        self._round.start()

    def abandon(self) -> None:
        """Nobody wants to know any more."""
        self._round.stop()

    def _done(self, answers: Mapping[str, KeyAnswer]) -> None:
        self._ended(_report(KeyOperation.LIST, b"", answers))


class KeyChange:
    """Installs, uses or removes a key at all active members, or at none.

    Args:
        host: the way to the others.
        operation: what is to be done.
        key_id: to which key.
        secret: the key, to be installed; empty otherwise.
        leaked: remove without grace.
        locally: does what is asked of this member itself.
        ended: called once with the report, and the error if it was not all as wished.
    """

    def __init__(
        self,
        host: Host,
        operation: KeyOperation,
        key_id: bytes,
        secret: bytes,
        *,
        leaked: bool,
        locally: Callable[[KeyRequest], KeyAnswer],
        ended: Callable[[KeyReport, KeyChangeError | None], None],
    ) -> None:
        self._host = host
        change = host.rng.getrandbits(64)
        self._request = KeyRequest(operation, Phase.CHECK, change, key_id, leaked=leaked)
        self._secret = secret
        self._locally = locally
        self._ended = ended
        self._started = host.now
        self._answers: dict[str, KeyAnswer] = {}
        self._checking: KeyRound | None = None
        self._is_wanted = True

    def start(self) -> None:
        """Check at all members."""
        self._check(self._active())

    def abandon(self) -> None:
        """The caller is gone. While it is only checked, nothing will change. What is being done
        is done to the end: half a change is of no use to anybody.
        """
        self._is_wanted = False
        if self._checking is not None:
            self._checking.stop()

    def _ask(
        self,
        request: KeyRequest,
        names: list[str],
        done: Callable[[dict[str, KeyAnswer]], None],
    ) -> None:
        KeyRound(self._host, request, names, self._locally, done).start()

    def _active(self) -> list[str]:
        return [member.name for member in self._host.members()]

    # -- checking -----------------------------------------------------------------------

    def _check(self, names: list[str]) -> None:
        checking = KeyRound(self._host, self._request, names, self._locally, self._checked)
        self._checking = checking
        checking.start()

    def _checked(self, answers: dict[str, KeyAnswer]) -> None:
        self._checking = None
        known = self._answers | answers
        active = self._active()
        # Who is gone in the meantime has no say, and is brought up should it come back.
        self._answers = {name: known[name] for name in active if name in known}
        leased = [name for name, answer in self._answers.items() if answer.ok]
        newcomers = [name for name in active if name not in known]
        if self._host.now >= self._started + CHECK_SECONDS:
            late = f"checking took more than {CHECK_SECONDS:g} seconds"
            self._answers[self._host.name] = KeyAnswer(ok=False, error=late)
        if not self._is_wanted or not all(each.ok for each in self._answers.values()):
            self._release(leased)
        elif newcomers:
            self._check(newcomers)
        else:
            self._do()

    def _release(self, leased: list[str]) -> None:
        """Give back what was leased, so that the next one need not wait for its end."""
        release = attrs.evolve(self._request, phase=Phase.RELEASE)
        self._ask(release, leased, lambda _: self._end(refused=True))

    # -- doing --------------------------------------------------------------------------

    def _do(self) -> None:
        self._request = attrs.evolve(self._request, phase=Phase.DO, secret=self._secret)
        self._secret = b""
        self._ask(self._request, list(self._answers), self._done)

    def _done(self, answers: dict[str, KeyAnswer]) -> None:
        if list(answers) == [self._host.name] and not answers[self._host.name].ok:
            # It did not begin here, so nobody else was asked.
            others = [name for name in self._answers if name != self._host.name]
            self._answers |= answers
            self._request = attrs.evolve(self._request, secret=b"")
            self._release(others)
            return
        self._answers = answers
        for name in self._active():
            self._answers.setdefault(name, NEWCOMER)
        self._end(refused=False)

    def _end(self, *, refused: bool) -> None:
        report = _report(self._request.operation, self._request.key_id, self._answers)
        failed = refused or bool(report.failed)
        self._ended(report, KeyChangeError(report, refused=refused) if failed else None)


def _report(operation: KeyOperation, key_id: bytes, answers: Mapping[str, KeyAnswer]) -> KeyReport:
    ordered = {name: answers[name] for name in sorted(answers)}
    return KeyReport(operation.name.lower(), key_id.hex(), ordered)
