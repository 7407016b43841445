"""The command ``trio-gossip``: an agent to run and a demo to watch. Needs the extra ``cli``.

Nothing here is imported by the library, and nothing heavy is imported before :func:`main` runs.
"""

from __future__ import annotations

import signal
import sys
from typing import Final, NoReturn

__all__ = ["main"]

_OF_THE_EXTRA: Final = ("click", "rich")
_EXIT_INTERRUPTED: Final = 130
"""What shells report for a process that SIGINT ended."""


def main() -> NoReturn:
    """Run the command line of this process and exit.

    Raises:
        SystemExit: always; 0 is success, 1 a run that went wrong, 2 bad input, 130 Ctrl-C
            before (or after) the command watches for signals.
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
    except SystemExit:
        # One more Ctrl-C while the interpreter ends must not change the exit code.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise
    except KeyboardInterrupt:
        # The imports alone take long enough to be interrupted. A signal may come twice at once.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        print("trio-gossip: interrupted", file=sys.stderr)
        sys.exit(_EXIT_INTERRUPTED)
    raise AssertionError("the command group always exits")
