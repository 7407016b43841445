"""A page to watch a run: every packet, every belief, on a slider. See :func:`make_page`."""

from trio_gossip.testing.page.document import make_page

__all__ = ["make_page"]
