"""How the documentation is built: ``make docs``. Warnings are errors and every link is checked."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# The tables are made from the code beside these pages, not from an installed version of it.
sys.path[:0] = [str(ROOT), str(ROOT / "transports"), str(ROOT / "docs" / "_ext")]

project = "trio-gossip"
author = "The trio-gossip contributors"
copyright = author
version = release = re.search(
    r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
)[1]

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinxcontrib_trio",
    "gossip_directives",
]
exclude_patterns = ["_build", "newsfragments"]
html_theme = "furo"
html_title = f"trio-gossip {release}"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
napoleon_use_rtype = False
napoleon_use_ivar = True

# Names of other projects. Their pages are not asked, so that the documentation builds without a
# network; every name of this project must lead somewhere.
nitpick_ignore_regex = [
    ("py:.*", r"(trio|attrs|attr|collections|random|ssl|types|enum)\..*"),
    ("py:.*", r"(ValueError|TypeError|OSError|Exception|ExceptionGroup|StopAsyncIteration)"),
    ("py:.*", r"(ConnectionRefusedError|KeyError|AssertionError)"),
    ("py:.*", r"(bytes|str|int|float|bool|object|list|tuple|dict|None|NamedTuple|StrEnum|IntEnum)"),
    ("py:.*", r"(Any|Callable|Sequence|Mapping|Iterable|Iterator|AsyncIterator|Self|Literal)"),
    ("py:.*", r"(TracebackType|BaseException|Traversable|Optional|Union|deque|PathLike|_Result)"),
    # What checkers and tables show and is not part of the public API.
    ("py:.*", r"(Message|IndirectPing|Kind|Plane|State)"),
]
# Two attributes that one line of a docstring describes, which napoleon takes for one name.
nitpick_ignore = [
    ("py:class", "membership_queue"),
    ("py:class", "stalls"),
    ("py:class", "stalled_seconds"),
]
