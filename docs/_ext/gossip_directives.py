"""Sphinx side of the generated parts.

* ``:bound:`trio_gossip.module.CONSTANT``` and ``:bound:`Config.field``` write a name with its
  present value; the build fails when it is gone.
* ``:counter:`name``` writes a counter's name; the build fails when nothing counts under it.
* ``.. precedence-table::``, ``.. suspicion-table::``, ``.. graded-table::``, ``.. scale-table::``,
  ``.. preset-table::``, ``.. checker-table::`` and ``.. step-table::`` are tables that the code
  itself fills.
"""

from __future__ import annotations

from abc import abstractmethod
from inspect import getdoc
from typing import Any

import attrs
from bounds import bound, is_counter, spell
from docutils import nodes
from docutils.statemachine import StringList
from precedence import CLAIMS, table
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.ext.napoleon import GoogleDocstring
from sphinx.util.docutils import SphinxDirective, SphinxRole
from timing import graded_rows, scale_rows, suspicion_rows

from trio_gossip import Config
from trio_gossip.testing.checkers.catalogue import ALL
from trio_gossip.testing.scenarios.catalogue import KINDS


class Bound(SphinxRole):
    """A constant or setting with its value."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        try:
            name, value = bound(self.text)
        except LookupError as error:
            return [], [self.inliner.reporter.error(str(error), line=self.lineno)]
        return [nodes.literal(name, name), nodes.Text(f" = {value}")], []


class Counter(SphinxRole):
    """The name of a counter."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        if not is_counter(self.text):
            message = f"nothing is counted under {self.text}"
            return [], [self.inliner.reporter.error(message, line=self.lineno)]
        return [nodes.literal(self.text, self.text)], []


class _Table(SphinxDirective):
    """A list table out of rows of text."""

    @abstractmethod
    def rows(self) -> list[list[str]]:
        """The head first."""

    def run(self) -> list[nodes.Node]:
        lines = [".. list-table::", "   :header-rows: 1", "   :stub-columns: 1", ""]
        for row in self.rows():
            lines += [f"   {'* -' if not at else '  -'} {cell}" for at, cell in enumerate(row)]
        holder = nodes.container()
        self.state.nested_parse(StringList(lines, self.get_source_info()[0]), 0, holder)
        return holder.children


class PrecedenceTable(_Table):
    """What each claim does to each state, found by asking an engine."""

    def rows(self) -> list[list[str]]:
        """The head first."""
        return [["held", *CLAIMS], *table()]


class SuspicionTable(_Table):
    """How long a suspicion lasts."""

    def rows(self) -> list[list[str]]:
        """The head first."""
        return [["N", "no confirmation", "one", "two"], *suspicion_rows()]


class GradedTable(_Table):
    """How long a suspicion of each class lasts."""

    def rows(self) -> list[list[str]]:
        """The head first."""
        return [["class", "no confirmation", "one", "two", "N = 2"], *graded_rows()]


class ScaleTable(_Table):
    """What grows with the cluster."""

    def rows(self) -> list[list[str]]:
        """The head first."""
        return [["N", "each message is sent", "seconds between push/pulls"], *scale_rows()]


class PresetTable(_Table):
    """The settings in which the presets differ."""

    def rows(self) -> list[list[str]]:
        """The head first."""
        made = (Config.lan, Config.fast, Config.safe, Config.wan, Config.local)
        presets = [preset(name="x") for preset in made]
        rows = [["setting", "lan", "fast", "safe", "wan", "local"]]
        for field in attrs.fields(Config):
            values = [spell(getattr(preset, field.name)) for preset in presets]
            if len(set(values)) > 1:
                rows.append([f"``{field.name}``", *values])
        return rows


class CheckerTable(_Table):
    """The rules that are checked, in the words of their classes."""

    def rows(self) -> list[list[str]]:
        """The head first."""
        rules = [
            (each.name, " ".join((getdoc(each) or "").split("\n\n")[0].split())) for each in ALL
        ]
        return [["checker", "what it demands"], *([f"``{name}``", rule] for name, rule in rules)]


class StepTable(_Table):
    """What can be done to a cluster in a scenario."""

    def rows(self) -> list[list[str]]:
        """The head first."""
        kinds = KINDS.values()
        rows = [[f"``{kind.name}``", kind.about, kind.excused.value] for kind in kinds]
        return [["kind", "what happens", "excused"], *rows]


def _find_public(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, contnode: nodes.Element
) -> nodes.Element | None:
    """Annotations name a class by the module that defines it, or bare; the pages document it under
    its public name. Follow both, when exactly one documented object ends in that name.
    """
    target = node.get("reftarget", "")
    of_a_class = target[:1].isupper()  # Cluster.join
    ours = "." not in target or of_a_class or target.startswith("trio_gossip")
    if node.get("refdomain") != "py" or not ours:
        return None
    domain = env.domains.python_domain
    last = f".{target if of_a_class else target.rpartition('.')[2]}"
    found = [name for name in domain.objects if name.endswith(last)]
    if len(found) != 1:
        return None
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", found[0], node, contnode)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register everything."""
    # "This process's own health: 0 is healthy" is a sentence here and not a type with a
    # description, as which napoleon reads the first colon of an attribute's docstring.
    GoogleDocstring._consume_inline_attribute = lambda self: ("", self._consume_to_end())
    app.add_role("bound", Bound())
    app.add_role("counter", Counter())
    app.add_directive("checker-table", CheckerTable)
    app.add_directive("precedence-table", PrecedenceTable)
    app.add_directive("graded-table", GradedTable)
    app.add_directive("preset-table", PresetTable)
    app.add_directive("scale-table", ScaleTable)
    app.add_directive("step-table", StepTable)
    app.add_directive("suspicion-table", SuspicionTable)
    app.connect("missing-reference", _find_public)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
