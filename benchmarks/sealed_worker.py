"""The worker of the other benchmarks, whose members seal what they send.

Started as ``sealed_worker.py FORMAT``, where the format is ``plain``, ``native`` or
``memberlist``. The key is a known one: everything stays on the loopback interface.
"""

from __future__ import annotations

import sys
from typing import Any

import trio
import worker

from trio_gossip import Cluster, Config, serve_cluster
from trio_gossip.transport import Transport
from trio_gossip_transports import EncryptedTransport, Keyring, open_socket_transport


class SealedWorker(worker.Worker):
    """Members over an ``EncryptedTransport``; nothing else differs."""

    async def _live(
        self, name: str, changes: dict[str, Any], *, task_status: trio.TaskStatus[Cluster]
    ) -> None:
        with trio.CancelScope() as scope:
            ended = self._living[scope] = trio.Event()
            async with sealed(await open_socket_transport("127.0.0.1", 0)) as transport:
                config = Config.lan(name=name, **changes)
                await serve_cluster(config, transport, task_status=task_status)
        ended.set()


def sealed(transport: Transport) -> Transport:
    """The transport in the format of the command line."""
    if sys.argv[1] == "plain":
        return transport
    return EncryptedTransport(transport, Keyring([bytes(32)]), b"bench", sys.argv[1])


if __name__ == "__main__":
    worker.Worker = SealedWorker  # what its main() hosts
    trio.run(worker.main)
