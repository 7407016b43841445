"""Hosts with a network between them: namespaces of this kernel, a bridge, and what it drops.

Each host is a network namespace; the bridge has one of its own, so that nothing of this machine's
own network is touched, and no more than deleting the namespaces is needed in the end. Losses and
cuts are rules of the bridge (nftables): they work where a kernel has no netem, and a packet that
is dropped there is dropped in the middle of the network, without an error for whoever sent it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self

from detection.arena import Host

NETWORK = "10.77.0"
"""A /24 that exists inside of the namespaces only."""

HOSTS_MAX = 200


class NoNamespacesError(Exception):
    """Its text says in one line why there are none here."""


class Network:
    """Namespaces on one bridge. A context manager: nothing of it is left after its block.

    Args:
        n: hosts, at most ``HOSTS_MAX``.
    """

    def __init__(self, n: int) -> None:
        assert 0 < n <= HOSTS_MAX
        prefix = f"gossip{os.getpid()}"
        self._hub = f"{prefix}-hub"
        self._spaces = [f"{prefix}-{number}" for number in range(n)]
        self._made: list[str] = []
        self.hosts = [
            Host(f"{NETWORK}.{number + 1}", ("ip", "netns", "exec", space))
            for number, space in enumerate(self._spaces)
        ]

    def __enter__(self) -> Self:
        try:
            self._make()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._remove()

    def _make(self) -> None:
        for space in (self._hub, *self._spaces):
            _run("ip", "netns", "add", space)
            self._made.append(space)
        _run("ip", "-n", self._hub, "link", "add", "bridge", "type", "bridge")
        _run("ip", "-n", self._hub, "link", "set", "bridge", "up")
        for number, space in enumerate(self._spaces):
            port = f"port{number}"
            pair = ("type", "veth", "peer", "name", "eth0", "netns", space)
            _run("ip", "-n", self._hub, "link", "add", port, *pair)
            _run("ip", "-n", self._hub, "link", "set", port, "master", "bridge", "up")
            address = f"{self.hosts[number].address}/24"
            _run("ip", "-n", space, "address", "add", address, "dev", "eth0")
            for device in ("lo", "eth0"):
                _run("ip", "-n", space, "link", "set", device, "up")
        self.drop([])

    def _remove(self) -> None:
        while self._made:
            # Whoever still runs inside keeps it until it ends; its name is gone at once.
            subprocess.run(["ip", "netns", "del", self._made.pop()], check=False)

    # -- faults -------------------------------------------------------------------------

    def drop(self, rules: Iterable[str]) -> None:
        """From now on the bridge drops what matches one of these rules, and nothing else."""
        lines = "".join(f"    {rule} drop\n" for rule in rules)
        chain = f"  chain forward {{\n    type filter hook forward priority 0;\n{lines}  }}\n"
        # One transaction: the old rules hold until the new ones do.
        text = "table bridge faults {}\ndelete table bridge faults\n"
        text += f"table bridge faults {{\n{chain}}}\n"
        _run("ip", "netns", "exec", self._hub, "nft", "-f", "-", text=text)

    def lose(self, share: float) -> None:
        """Drop this share of all packets, each way."""
        self.drop([f"ether type ip numgen random mod 1000 < {round(1000 * share)}"])

    def cut_one_way(self, source: int, targets: Iterable[int]) -> None:
        """Nothing of one host reaches these others."""
        listed = ", ".join(self.hosts[target].address for target in targets)
        self.drop([f"ip saddr {self.hosts[source].address} ip daddr {{ {listed} }}"])

    def deafen(self, target: int) -> None:
        """Nothing reaches one host."""
        self.drop([f"ip daddr {self.hosts[target].address}"])

    def black_out(self) -> None:
        """Nothing reaches anybody."""
        self.drop(["ether type ip", "ether type arp"])

    def plug(self, host: int, *, connected: bool) -> None:
        """Take the cable of a host away, or put it back."""
        state = "up" if connected else "down"
        _run("ip", "-n", self._hub, "link", "set", f"port{host}", state)


def check_namespaces() -> None:
    """See if this machine can do it at all.

    Raises:
        NoNamespacesError: it cannot.
    """
    missing = [tool for tool in ("ip", "nft") if shutil.which(tool) is None]
    if os.geteuid() != 0:
        raise NoNamespacesError("--netns is skipped: it needs root")
    if missing:
        raise NoNamespacesError(f"--netns is skipped: there is no {' and no '.join(missing)}")
    try:
        with Network(2) as network:
            network.lose(0.5)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        line = said.strip().splitlines()[0] if said.strip() else "no word why"
        raise NoNamespacesError(f"--netns is skipped: this kernel refuses: {line}") from error


def _run(*command: str, text: str | None = None) -> None:
    subprocess.run(
        _checked(command), input=text, check=True, capture_output=True, text=True, timeout=30
    )


def _checked(command: Sequence[str]) -> list[str]:
    assert all(command), command
    return list(command)
