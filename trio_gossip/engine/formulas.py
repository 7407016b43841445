"""memberlist's formulas, as its code has them (its comments differ). N is the number of alive
and suspect members, this one included: dead records do not inflate it.
"""

from __future__ import annotations

import math


def retransmit_limit(mult: int, n: int) -> int:
    """How often each message is sent by each member: ``mult * ceil(log10(N + 1))``."""
    return mult * math.ceil(math.log10(n + 1))


def suspicion_minimum(mult: int, n: int, interval: float) -> float:
    """Seconds of a confirmed suspicion: ``mult * max(1, log10 N) * interval``.

    The scale is cut to three decimals, as memberlist does.
    """
    scale = math.trunc(1000 * max(1.0, math.log10(max(1.0, n))))
    return mult * scale * interval / 1000


def confirmations_wanted(mult: int, n: int) -> int:
    """Accusers beside the first that end the wait; 0 where too few members could confirm."""
    wanted = mult - 2
    return wanted if wanted > 0 and n - 2 >= wanted else 0


def push_rounds(n: int) -> int:
    """Rounds in which a rumour that all who know it push to one member each reaches all of ``n``:
    ``log2 n + ln n``, rounded up (Frieze and Grimmett 1985; Pittel 1987), and one more.
    """
    return math.ceil(math.log2(max(n, 1)) + math.log(max(n, 1))) + 1


def push_pull_scale(n: int) -> int:
    """By how much the push/pull interval grows: 1 up to 32 members, 2 up to 64, 3 up to 128."""
    if n <= 32:
        return 1
    return math.ceil(math.log2(n) - 5) + 1
