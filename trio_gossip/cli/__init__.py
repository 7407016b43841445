"""The command ``trio-gossip``: an agent to run and a demo to watch. Needs the extra ``cli``.

Nothing here is imported by the library, and nothing heavy is imported before :func:`main` runs.
"""

from __future__ import annotations

import sys
from typing import Final, NoReturn

__all__ = ["main"]

_OF_THE_EXTRA: Final = ("click", "rich")


def main() -> NoReturn:
    """Run the command line of this process and exit.

    Raises:
        SystemExit: always; 0 is success, 1 a run that went wrong, 2 bad input.
    """
    try:
        from trio_gossip.cli.commands import commands

        commands.main(prog_name="trio-gossip")
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in _OF_THE_EXTRA:
            raise
        line = f"trio-gossip: {missing} is not installed; run: pip install 'trio-gossip[cli]'"
        print(line, file=sys.stderr)
        sys.exit(2)
    raise AssertionError("the command group always exits")
