"""The shape of the project: what lies where, how long files are, who imports whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = {"trio_gossip": ROOT / "trio_gossip", "trio_gossip_transports": ROOT / "transports"}
LINES_MAX = 400

TOP_LEVEL = {
    *("trio_gossip", "transports", "tests", "benchmarks", "docs"),
    *("pyproject.toml", "constraints.txt", "Makefile"),
    *("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "LICENSE", "CHANGELOG.rst"),
}
MADE_BY_TOOLS = {"dist", "build", "__pycache__"}

FOR_TESTS = {"trio_gossip.testing.kit", "trio_gossip.testing.sealed"}
"""What of the part for tests runs real transports."""

SANS_IO_BANNED = {
    *("trio", "socket", "ssl", "select", "selectors", "asyncio", "threading", "subprocess"),
    *("time", "datetime", "os", "secrets", "logging"),
}
SHARED_BY_ALL = {
    f"trio_gossip.{name}" for name in ("addresses", "config", "errors", "events", "failures")
} | {"trio_gossip.members", "trio_gossip.plane"}


def python_files() -> list[Path]:
    folders = ("trio_gossip", "transports", "tests", "benchmarks", "docs")
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return sorted(path for path in found if "_build" not in path.parts)


def modules(under: str) -> Iterator[tuple[str, ast.Module]]:
    """Modules of a package, or below it, with their trees."""
    package = under.partition(".")[0]
    root = ROOT if package == "trio_gossip" else ROOT / "transports"
    for path in sorted((root / package).rglob("*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        if f"{name}.".startswith(f"{under}."):
            yield name, ast.parse(path.read_text())


def imports(tree: ast.AST) -> set[str]:
    """Every module that a piece of code imports, lazily or for types only as well. Of a name that
    is imported from a package, both the package and the name behind it.
    """
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            assert node.module is not None
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def imports_when_loaded(tree: ast.Module) -> set[str]:
    """What is imported as soon as the module is: not inside functions, not for types only."""
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found |= imports(node)
    return found


def top(names: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in names}


def is_inside(name: str, packages: set[str]) -> bool:
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


def test_the_top_level_holds_what_the_design_names_and_nothing_else():
    visible = {path.name for path in ROOT.iterdir() if not path.name.startswith(".")}
    assert visible - MADE_BY_TOOLS <= TOP_LEVEL
    assert visible >= TOP_LEVEL - {"benchmarks"}


def test_no_file_is_too_long_to_be_read_at_once():
    too_long = []
    for path in python_files():
        name = str(path.relative_to(ROOT))
        lines = len(path.read_text().splitlines())
        if lines > LINES_MAX:
            too_long.append(f"{name} has {lines} lines, at most {LINES_MAX}")
    assert not too_long, "split these:\n" + "\n".join(too_long)


def test_every_module_says_what_it_is():
    for package in SOURCE:
        for name, tree in modules(package):
            assert ast.get_docstring(tree), f"{name} has no docstring"


def test_the_library_never_imports_a_transport():
    for name, tree in modules("trio_gossip"):
        if not is_inside(name, {"trio_gossip.cli", *FOR_TESTS}):
            assert "trio_gossip_transports" not in top(imports(tree)), name


def test_the_command_line_imports_transports_only_when_it_needs_one():
    users = [
        name
        for name, tree in modules("trio_gossip.cli")
        if "trio_gossip_transports" in top(imports(tree))
    ]
    assert users, "the agent needs a transport"
    for name, tree in modules("trio_gossip.cli"):
        assert "trio_gossip_transports" not in top(imports_when_loaded(tree)), name


def test_only_the_command_line_knows_the_command_line_and_its_dependencies():
    for package in SOURCE:
        for name, tree in modules(package):
            if is_inside(name, {"trio_gossip.cli", "trio_gossip.__main__"}):
                continue
            found = imports(tree)
            assert not top(found) & {"click", "rich"}, name
            assert not any(is_inside(each, {"trio_gossip.cli"}) for each in found), name


def test_nothing_but_the_command_line_needs_what_is_for_tests():
    outside = {"trio_gossip.testing", "trio_gossip.cli"}
    for package in SOURCE:
        for name, tree in modules(package):
            if not is_inside(name, outside):
                found = imports(tree)
                assert not any(is_inside(each, {"trio_gossip.testing"}) for each in found), name


def test_the_simulator_knows_no_trio():
    for under in ("simulation", "scenarios", "checkers", "page"):
        for name, tree in modules(f"trio_gossip.testing.{under}"):
            assert not top(imports(tree)) & {"trio", "socket", "trio_gossip_transports"}, name
            assert "trio_gossip.testing.sealed" not in imports_when_loaded(tree), name


@pytest.mark.parametrize(
    "under", ["trio_gossip.engine", "trio_gossip.codec", "trio_gossip.services"]
)
def test_the_engine_and_the_codec_import_no_network_and_no_clock(under: str):
    found = dict(modules(under))
    assert len(found) > 5
    for name, tree in found.items():
        assert not top(imports(tree)) & SANS_IO_BANNED, name


@pytest.mark.parametrize(
    ("under", "may"),
    [
        ("trio_gossip.codec", {"trio_gossip.codec", *SHARED_BY_ALL}),
        (
            "trio_gossip.engine",
            {
                *("trio_gossip.engine", "trio_gossip.codec", "trio_gossip.services.base"),
                *SHARED_BY_ALL,
            },
        ),
        ("trio_gossip.services", {"trio_gossip.services", "trio_gossip.codec", *SHARED_BY_ALL}),
    ],
)
def test_the_inner_layers_import_only_what_is_below_them(under: str, may: set[str]):
    for name, tree in modules(under):
        ours = {each for each in imports(tree) if is_inside(each, {"trio_gossip"})}
        outside = {each for each in ours if not is_inside(each, may)} - {"trio_gossip"}
        assert not outside, f"{name} imports {outside}"


def test_transports_import_only_the_interface_and_its_types():
    may = {"trio_gossip.transport", "trio_gossip.services.key_store", *SHARED_BY_ALL}
    for name, tree in modules("trio_gossip_transports"):
        ours = {each for each in imports(tree) if is_inside(each, {"trio_gossip"})}
        assert not {each for each in ours if not is_inside(each, may)}, name


def test_no_two_modules_need_each_other_to_be_loaded():
    trees = {name: tree for package in SOURCE for name, tree in modules(package)}
    graph = {
        name: {each for each in imports_when_loaded(tree) if each in trees and each != name}
        for name, tree in trees.items()
    }
    # A package's __init__ gathers the names of its modules; those import each other directly.
    gathering = {name for name in trees if any(other.startswith(f"{name}.") for other in trees)}
    graph = {
        name: needs - {each for each in gathering if name.startswith(f"{each}.")}
        for name, needs in graph.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' -> '.join(error.args[1])}")
