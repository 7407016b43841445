"""What the rest of an engine asks of the side of a failure detector that looks for failures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trio_gossip.addresses import Address


class Detector(ABC):
    """Probes the other members while this one takes part."""

    @abstractmethod
    def start(self) -> None:
        """Begin, at a random moment so that members do not probe in step."""

    @abstractmethod
    def stop(self) -> None:
        """Stop; what is under way comes to nothing."""

    def refused(self, address: Address) -> None:
        """The network says that nobody listens at the address of a member (ICMP)."""
        del address

    def forget(self, name: str) -> None:
        """A member was reaped."""
        del name
