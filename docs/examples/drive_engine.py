"""Two engines and no network: the loop that every driver is, with time as a plain number."""

import random
from collections import deque

from trio_gossip import Address, Config, DialFailure
from trio_gossip.engine import (
    CloseExchange,
    Complete,
    Deliver,
    Engine,
    Notify,
    OpenExchange,
    SendFrame,
    SendPacket,
)


class World:
    """Engines by address, joined by links without loss and without delay."""

    def __init__(self) -> None:
        self.now = 0.0
        self.engines: dict[Address, Engine] = {}
        self.decided: deque[tuple[Address, object]] = deque()
        self.streams: dict[tuple[Address, int], tuple[Address, int]] = {}
        self.log: list[str] = []

    def run(self, until: float) -> None:
        """Jump from deadline to deadline; after each turn, do what was decided."""
        self.perform_all()
        while self.engines:
            here = min(self.engines, key=lambda each: self.engines[each].next_deadline)
            if self.engines[here].next_deadline > until:
                return
            self.now = max(self.now, self.engines[here].next_deadline)
            self.turn(here, "handle_timeout")
            self.perform_all()

    def turn(self, here: Address, what: str, *arguments: object, **named: object) -> None:
        """One call of an engine. What it returns is performed later, in order."""
        outputs = getattr(self.engines[here], what)(*arguments, **named, now=self.now)
        self.decided.extend((here, output) for output in outputs)

    def perform_all(self) -> None:
        """Do what the engines decided. With real sockets, this is the driver's work."""
        while self.decided:
            here, output = self.decided.popleft()
            match output:
                case SendPacket(data, address, _):
                    if address in self.engines:
                        self.turn(address, "receive_packet", data, here)
                case OpenExchange(exchange, address, _):
                    self.open_stream(here, exchange, address)
                case SendFrame(exchange, data, more):
                    if more:
                        self.turn(here, "exchange_writable", exchange)
                    there, theirs = self.streams[here, exchange]
                    self.turn(there, "exchange_received", theirs, data)
                case Notify(event):
                    name = self.engines[here].local.name
                    about = event.member.name
                    self.log.append(f"{self.now:6.3f} {name}: {about} {type(event).__name__}")
                case Deliver(exchange, _):
                    self.turn(here, "exchange_delivered", exchange)
                case CloseExchange() | Complete():
                    pass  # nobody waits for these here

    def open_stream(self, here: Address, exchange: int, address: Address) -> None:
        """Connect two exchanges, or say why not."""
        if address not in self.engines:
            self.turn(here, "exchange_failed", exchange, DialFailure.REFUSED)
            return
        theirs = self.engines[address].new_exchange()
        self.streams[here, exchange] = (address, theirs)
        self.streams[address, theirs] = (here, exchange)
        self.turn(address, "exchange_accepted", theirs, here)
        self.turn(here, "exchange_opened", exchange)


def main() -> list[str]:
    """Two members meet; then one of them falls silent."""
    world = World()
    addresses = {"a": Address("10.0.0.1", 7946), "b": Address("10.0.0.2", 7946)}
    for name, address in addresses.items():
        world.engines[address] = Engine(
            Config.lan(name=name), address, rng=random.Random(name), packet_limit=1400
        )
        world.turn(address, "start")
    world.turn(addresses["b"], "join", addresses["a"], token=1)
    world.run(until=5.0)
    del world.engines[addresses["b"]]
    world.run(until=15.0)
    return world.log


if __name__ == "__main__":
    print("\n".join(main()))
