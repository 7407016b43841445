"""``python -m trio_gossip`` is the command ``trio-gossip``."""

from __future__ import annotations

from trio_gossip.cli import main

if __name__ == "__main__":
    main()
