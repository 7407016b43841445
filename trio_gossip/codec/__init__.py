"""Every byte between a message and the network. Pure: knows no engine, no time, no sockets."""

from trio_gossip.codec.base import Codec, DecodeError, Room, StreamDecoder
from trio_gossip.codec.wire import NativeCodec

__all__ = ["Codec", "DecodeError", "NativeCodec", "Room", "StreamDecoder"]
