"""The sans-IO protocol engine. Imports no trio, no clock, no socket, no global randomness."""

from trio_gossip.engine.core import Engine
from trio_gossip.engine.outputs import (
    CloseExchange,
    Complete,
    Deliver,
    ExchangeId,
    Notify,
    OpenExchange,
    Output,
    SendFrame,
    SendPacket,
    Token,
)
from trio_gossip.engine.statistics import EngineStatistics

__all__ = [
    "CloseExchange",
    "Complete",
    "Deliver",
    "Engine",
    "EngineStatistics",
    "ExchangeId",
    "Notify",
    "OpenExchange",
    "Output",
    "SendFrame",
    "SendPacket",
    "Token",
]
