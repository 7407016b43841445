"""One question to many members, a few at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Final

from trio_gossip.codec import DecodeError
from trio_gossip.errors import LocalProtocolError
from trio_gossip.services.key_report import KeyAnswer
from trio_gossip.services.key_wire import decode_answer_untrusted, encode_request

if TYPE_CHECKING:
    from trio_gossip.services.base import Host
    from trio_gossip.services.key_wire import KeyRequest

ASKED_AT_ONCE: Final = 16
"""Members that are asked at the same time by one operation; the others wait for their turn."""


class KeyRound:
    """Asks every member the same, and calls ``done`` with their answers when the last is there.

    Args:
        host: the way to the other members.
        request: what is asked.
        names: whom; this member itself goes first, so that what is wrong here goes nowhere.
        locally: answers for this member itself.
        done: called once, maybe before :meth:`start` returns.
    """

    def __init__(
        self,
        host: Host,
        request: KeyRequest,
        names: Iterable[str],
        locally: Callable[[KeyRequest], KeyAnswer],
        done: Callable[[dict[str, KeyAnswer]], None],
    ) -> None:
        self._host = host
        self._request = request
        self._payload = encode_request(request)
        self._waiting = deque(sorted(names, key=lambda name: (name != host.name, name)))
        self._locally = locally
        self._done = done
        self._under_way = 0
        self._answers: dict[str, KeyAnswer] = {}

    def start(self) -> None:
        """Ask the first members."""
        while self._waiting and self._under_way < ASKED_AT_ONCE:
            name = self._waiting.popleft()
            if name == self._host.name:
                self._answers[name] = answer = self._locally(self._request)
                if not answer.ok:
                    self._waiting.clear()
                continue
            try:
                self._host.request(name, self._payload, partial(self._answered, name))
            except LocalProtocolError as error:
                self._answers[name] = KeyAnswer(ok=False, error=str(error))
            else:
                self._under_way += 1
        if not self._under_way:
            self._done(self._answers)

    def stop(self) -> None:
        """Ask nobody else. ``done`` is called with those that were asked."""
        self._waiting.clear()

    def _answered(self, name: str, answer: bytes | Exception) -> None:
        self._under_way -= 1
        if isinstance(answer, bytes):
            try:
                self._answers[name] = decode_answer_untrusted(answer)
            except DecodeError as error:
                self._answers[name] = KeyAnswer(ok=False, error=f"makes no sense: {error.reason}")
        else:
            # Who it was is said by who reports it.
            self._answers[name] = KeyAnswer(ok=False, error=str(answer).removeprefix(f"{name} "))
        self.start()
