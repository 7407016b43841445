"""The engine and the codec run where there is no trio, no socket, no clock and no log."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

BLOCKED = (
    *("trio", "socket", "_socket", "ssl", "_ssl", "select", "selectors", "asyncio", "anyio"),
    *("time", "datetime", "logging", "threading", "_thread", "os", "subprocess", "signal"),
    *("secrets", "multiprocessing", "concurrent", "click", "rich", "cryptography"),
)

# Third parties and the standard library come first: attrs itself imports threading and time.
# What is loaded stays loaded for them; our own imports find a hole where the module was. The
# import system keeps its own references to the operating system.
PREAMBLE = """
import sys
import attrs, cbor2
import collections, contextlib, enum, functools, importlib, io, ipaddress, math, random
import bisect, heapq, typing

loaded = dict(sys.modules)

def block(names):
    for name in list(sys.modules):
        if name.partition(".")[0] in names:
            sys.modules[name] = None
    for name in names:
        sys.modules[name] = None
"""

LIFE = """
from trio_gossip.addresses import Address
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import Alive, Ping
from trio_gossip.config import Config
from trio_gossip.engine import Engine

here, there = Address("127.0.0.1", 1), Address("127.0.0.1", 2)
codec = NativeCodec()
engine = Engine(Config.lan(name="a"), here, rng=random.Random(1), packet_limit=1400)
engine.start(now=0.0)
other = Alive(1, "b", there, b"", bytes((1, 1, 1, 0, 0, 0)))
packet = codec.pack([codec.encode(other), codec.encode(Ping(7, "a", "b"))])
assert engine.receive_packet(packet, there, now=0.0)
engine.join(there, token=1, now=0.0)
exchange = engine.new_exchange()
engine.exchange_accepted(exchange, there, now=0.0)
engine.exchange_received(exchange, b"junk", now=0.0)
engine.receive_packet(b"junk", there, now=0.0)
engine.broadcast(b"hi", now=0.0)
engine.leave(token=2, now=0.0)
for _ in range(1000):
    if engine.next_deadline == math.inf or engine.next_deadline > 120.0:
        break
    engine.handle_timeout(now=engine.next_deadline)
print("lived")
sys.modules.update(loaded)  # for the interpreter, which ends its threads
"""


def _run(*parts: str) -> subprocess.CompletedProcess[str]:
    script = "".join(textwrap.dedent(part) for part in parts)
    return subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )


def test_an_engine_lives_where_trio_sockets_and_clocks_cannot_be_imported() -> None:
    done = _run(PREAMBLE, f"block({BLOCKED!r})", LIFE)
    assert done.stderr == ""
    assert done.stdout == "lived\n"


@pytest.mark.parametrize("module", BLOCKED)
def test_the_block_would_be_noticed(module: str) -> None:
    script = f"\ntry:\n    import {module}\nexcept ImportError:\n    print('blocked')\n"
    assert _run(PREAMBLE, f"block({BLOCKED!r})", script).stdout == "blocked\n"


@pytest.mark.parametrize(
    "module", ["trio_gossip.engine", "trio_gossip.codec", "trio_gossip.services.keys"]
)
def test_an_engine_loads_none_of_the_parts_that_do_input_and_output(module: str) -> None:
    done = _run(
        f"""
        import sys
        import {module}
        print(*sorted(name for name in sys.modules if name.startswith("trio_gossip.")))
        """
    )
    parts = {name.split(".")[1] for name in done.stdout.split()}
    assert done.stderr == ""
    pure = {"addresses", "codec", "config", "engine", "errors", "events", "failures", "members"}
    pure |= {"plane"}
    assert parts - pure - {"history", "services"} == set()
    if module == "trio_gossip.codec":
        assert parts <= {"addresses", "codec", "members"}
