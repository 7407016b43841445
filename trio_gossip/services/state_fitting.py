"""What does not fit into one request or answer is cut, so that several of them get to the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import attrs

from trio_gossip.codec.frames import SERVICE_BYTES_MAX
from trio_gossip.services.state_delta import Ask, Chunk, Closing
from trio_gossip.services.state_records import Plane
from trio_gossip.services.state_wire import encode_ask, encode_chunk

if TYPE_CHECKING:
    import random

    from trio_gossip.services.state_vector import Vector

Key = TypeVar("Key")
Value = TypeVar("Value")

_PART: Final = 0.95
"""Of the share that should fit, for names are not all of one length."""

_CURSOR_BYTES: Final = 16
"""Room for the cursor, which is written with each question of an exchange."""


def fit_vector(vector: Vector, rng: random.Random, limit: int = SERVICE_BYTES_MAX) -> Vector:
    """As much of what was seen as a request holds, at random: with names of ten letters 10,000
    lives.

    Whoever is asked with less sends more, and nothing else comes of it: what is left out counts as
    not seen.
    """
    room = limit - _CURSOR_BYTES
    while (size := len(encode_ask(Ask(vector)))) > room:
        share = _PART * room / size
        tops, folds = _some(vector.tops, share, rng), _some(vector.folds, share, rng)
        vector = attrs.evolve(vector, tops=tops, folds=folds)
    return vector


def fit_chunk(chunk: Chunk, rng: random.Random, limit: int = SERVICE_BYTES_MAX) -> bytes | None:
    """The bytes of a chunk, or of as much of it as an answer holds.

    The closing part goes alone if it does not fit beside records. One that is longer than an
    answer says what was seen of some lives only: the asker adopts that and lacks less next time.
    They are chosen at random, or those that an asker refuses could keep out all others for ever.

    Returns:
        None if nothing may be left out: a reset of shared state has to be whole.
    """
    payload = encode_chunk(chunk)
    if len(payload) <= limit:
        return payload
    closing = chunk.closing
    if closing is None or (chunk.plane is Plane.SHARED and closing.resets and not chunk.records):
        return None
    if chunk.records:
        return fit_chunk(attrs.evolve(chunk, closing=None), rng, limit)
    less = _less(closing, _PART * limit / len(payload), rng)
    return fit_chunk(attrs.evolve(chunk, closing=less), rng, limit)


def _less(closing: Closing, share: float, rng: random.Random) -> Closing:
    """The same of a share of the lives. In ``STATE`` each life is reset by itself."""
    tops = _some(closing.tops, share, rng)
    floors = {life: floor for life, floor in closing.floors.items() if life in tops}
    listed = {life: versions for life, versions in closing.listed.items() if life in floors}
    return Closing(tops, closing.folds, floors, closing.horizon, bool(floors), listed)


def _some(found: dict[Key, Value], share: float, rng: random.Random) -> dict[Key, Value]:
    chosen = rng.sample(list(found), int(share * len(found)))
    return {key: found[key] for key in chosen}
