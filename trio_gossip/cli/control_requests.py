"""What an agent does when it is asked through its control socket: :class:`Control`."""

from __future__ import annotations

import logging
import os
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

import trio

from trio_gossip.cli.control_server import ControlServer, RequestError
from trio_gossip.cli.control_wire import rows_of, tree_of
from trio_gossip.cli.printing import member_record
from trio_gossip.cli.problems import BadInputError, in_one_line, visible
from trio_gossip.errors import GossipError
from trio_gossip.services.key_report import KeyChangeError

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable

    from trio_gossip.cli.control_wire import Row
    from trio_gossip.cli.security import Security
    from trio_gossip.cli.signals import Stop
    from trio_gossip.cluster import Cluster
    from trio_gossip.members import Member
    from trio_gossip.services.key_report import KeyReport

logger = logging.getLogger(__name__)

KEYS_SHOWN_MAX: Final = 16
"""Ids of keys of one member that an answer has; of more, the first ones. A ring has eight."""

_NAME_CHARACTERS: Final = 40
"""So much of an unknown request is repeated in the answer."""


class Control:
    """Answers the requests that come to the control socket of one agent.

    Args:
        listening: as :func:`.control_socket` makes it.
        cluster: what is asked about.
        security: its keys and certificates.
        stop: asked when somebody wants the agent to leave.
        about: more to tell in ``info``.
    """

    def __init__(
        self,
        listening: socket.socket,
        cluster: Cluster,
        security: Security,
        stop: Stop,
        about: dict[str, Any],
    ) -> None:
        self._cluster = cluster
        self._security = security
        self._stop = stop
        self._about = about
        self._started = trio.current_time()
        self._left = trio.Event()
        self._acked = 0
        self._reloading = trio.Lock()
        self._server = ControlServer(listening, self._answer)

    async def run(self) -> None:
        """Serve until :meth:`left` or a cancellation."""
        await self._server.run()

    def left(self, acked: int) -> None:
        """The goodbye is over, and so many acknowledged it: tell who asked, and end."""
        self._acked = acked
        self._left.set()
        self._server.end()

    async def _answer(self, command: str, arguments: list[Any]) -> Iterable[Row]:
        try:
            match command, arguments:
                case "members", []:
                    return map(_member_row, self._cluster.members(all=True))
                case "info", []:
                    return rows_of(self._info())
                case "leave", []:
                    return await self._leave()
                case "reload", []:
                    return await self._reload()
                case "keys", [str(operation), *rest]:
                    return await self._keys(operation, rest)
                case _:
                    raise _unknown(command)
        except KeyChangeError as error:
            raise RequestError(in_one_line(str(error)), _key_rows(error.report)) from error
        except GossipError as error:
            raise RequestError(in_one_line(str(error))) from error

    def _info(self) -> dict[str, Any]:
        cluster = self._cluster
        return {
            "member": member_record(cluster.local),
            **self._about,
            "version": _version(),
            "pid": os.getpid(),
            "uptime": round(trio.current_time() - self._started, 3),
            "health_score": cluster.health_score,
            "members": {
                "active": len(cluster.members()),
                "known": len(cluster.members(all=True)),
            },
            "security": self._security.describe(),
            "statistics": tree_of(cluster.statistics()),
            "control": tree_of(self._server.statistics()),
        }

    async def _leave(self) -> Iterable[Row]:
        logger.info("asked to leave through the control socket")
        self._stop.ask()
        await self._left.wait()
        return [("acked", self._acked)]

    async def _reload(self) -> Iterable[Row]:
        async with self._reloading:  # the last one to ask reads the last files
            try:
                found = await trio.to_thread.run_sync(self._security.load_again)
            except BadInputError as error:
                raise RequestError(str(error)) from error
            self._security.use(found)
        logger.info("certificates reloaded; they are good until %s", found.until)
        return [("until", found.until.isoformat())]

    async def _keys(self, operation: str, arguments: list[Any]) -> Iterable[Row]:
        if self._security.keyring is None:
            raise RequestError("this agent was started without --keyring: it has no keys")
        keys = self._cluster.keys
        # What was asked is in the log, for whoever has to find out later; never a key.
        match operation, arguments:
            case "list", []:
                report = await keys.list()
            case "install", [bytes(secret)]:
                logger.info("asked for a new key through the control socket")
                report = await keys.install(secret)
            case "use", [str(key_id)]:
                logger.info("asked to use key %s through the control socket", visible(key_id))
                report = await keys.use(key_id)
            case "remove", [str(key_id), bool(leaked)]:
                logger.info("asked to remove key %s through the control socket", visible(key_id))
                report = await keys.remove(key_id, leaked=leaked)
            case _:
                raise _unknown(f"keys {operation}")
        return _key_rows(report)


def _unknown(request: str) -> RequestError:
    # Not the arguments, which may hold a key.
    name = visible(request[:_NAME_CHARACTERS])
    return RequestError(f"this agent knows no request {name!r} of this form")


def _key_rows(report: KeyReport) -> list[Row]:
    """A row for each member: its name, whether it did it, why not, the ids of its keys."""
    # A member may name more keys than any ring holds: it must not break the answer of all others.
    return [
        (name, answer.ok, answer.error, *answer.keys[:KEYS_SHOWN_MAX])
        for name, answer in report.answers.items()
    ]


def _member_row(member: Member) -> Row:
    address = str(member.address)
    return (member.name, address, member.state.value, member.incarnation, member.meta)


def _version() -> str:
    try:
        return metadata.version("trio-gossip")
    except metadata.PackageNotFoundError:
        return "unknown"
