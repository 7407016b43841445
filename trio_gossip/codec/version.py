"""The version of the native wire, in one place that both packets and frames may import."""

from typing import Final

WIRE_VERSION: Final = 1
"""First item of every packet and frame. A receiver drops other versions and counts them."""
