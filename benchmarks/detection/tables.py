"""One kind of table for what is not a list of samples against an aim."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence


def print_table(
    title: str,
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    left: Collection[int] = (0,),
) -> None:
    """Print rows below a head; columns in ``left`` are set to the left. Empty columns are not
    printed.
    """
    used = [at for at in range(len(head)) if any(row[at] for row in rows)]
    lines = [[line[at] for at in used] for line in (head, *rows)]
    flush = [at in left for at in used]
    widths = [max(len(line[at]) for line in lines) for at in range(len(used))]
    print(f"\n{title}")
    for number, line in enumerate(lines):
        cells = (
            cell.ljust(width) if is_left else cell.rjust(width)
            for cell, width, is_left in zip(line, widths, flush, strict=True)
        )
        print("  ".join(cells).rstrip())
        if not number:
            print("  ".join("-" * width for width in widths))
    sys.stdout.flush()
