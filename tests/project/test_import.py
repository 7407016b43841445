"""``import trio_gossip`` is light, and gives what it promises."""

from __future__ import annotations

import importlib
import inspect
import os
import subprocess
import sys

import pytest

import trio_gossip

HEAVY = (
    *("click", "rich", "cryptography", "trio_gossip_transports", "pytest", "hypothesis"),
    *("http", "urllib", "email", "xml", "multiprocessing", "concurrent", "sqlite3", "dns"),
)
"""Nobody who opens a cluster needs these. ``asyncio`` is not among them: see below."""


def _loaded(statement: str) -> set[str]:
    """The top-level modules that a fresh process has loaded after ``statement``."""
    script = f"import sys; {statement}; print(*sys.modules)"
    # Under coverage a subprocess would import the measured packages before the statement.
    environment = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stderr == ""
    return {name.partition(".")[0] for name in done.stdout.split()}


def test_the_package_alone_loads_nothing_of_anybody() -> None:
    assert _loaded("import trio_gossip").isdisjoint({*HEAVY, "trio", "asyncio", "attrs", "cbor2"})


def test_opening_a_cluster_loads_no_command_line_no_cryptography_and_no_transport() -> None:
    statement = "from trio_gossip import open_cluster"
    by_trio = _loaded("import trio, attrs, cbor2")
    assert _loaded(statement).isdisjoint({*HEAVY} - by_trio)
    assert _loaded(statement).isdisjoint({"click", "rich", "cryptography"})
    assert _loaded(statement).isdisjoint({"trio_gossip_transports"})


def test_opening_a_cluster_loads_no_asyncio_that_trio_does_not_load() -> None:
    assert ("asyncio" in _loaded("from trio_gossip import open_cluster")) <= (
        "asyncio" in _loaded("import trio")
    )


def test_every_public_name_loads_no_more_than_a_cluster_does() -> None:
    assert _loaded("from trio_gossip import *").isdisjoint({"click", "rich", "cryptography"})


@pytest.mark.parametrize("name", trio_gossip.__all__)
def test_a_public_name_can_be_imported_and_says_what_it_is(name: str) -> None:
    value = getattr(trio_gossip, name)
    if inspect.isclass(value) or inspect.isroutine(value):
        assert inspect.getdoc(value)
        assert value.__doc__
    else:  # a union of types has no docstring of its own; its module explains it below the name
        home = importlib.import_module(f"trio_gossip.{trio_gossip._HOME[name]}")
        source = inspect.getsource(home)
        assert '"""' in source.partition(f"\n{name}: TypeAlias")[2].partition("\n\n")[0]


def test_the_list_of_names_and_the_table_of_their_modules_agree() -> None:
    table = [name for names in trio_gossip._MODULES.values() for name in names]
    assert sorted(table) == sorted(set(table)) == trio_gossip.__all__
    assert list(trio_gossip._MODULES) == sorted(trio_gossip._MODULES)


def test_a_name_is_the_one_of_the_module_that_the_table_says() -> None:
    for module, names in trio_gossip._MODULES.items():
        home = importlib.import_module(f"trio_gossip.{module}")
        for name in names:
            assert getattr(trio_gossip, name) is getattr(home, name)


def test_type_checkers_see_the_same_names() -> None:
    # They read the imports below TYPE_CHECKING, which never run.
    source = inspect.getsource(trio_gossip)
    block = source.partition("if TYPE_CHECKING:")[2].partition("__all__")[0]
    seen = block.replace("(", " ").replace(")", " ").replace(",", " ").split()
    assert [name for name in trio_gossip.__all__ if seen.count(name) != 1] == []


def test_a_name_that_does_not_exist_is_an_attribute_error_that_names_it() -> None:
    with pytest.raises(AttributeError, match="no attribute 'no_such_name'"):
        trio_gossip.no_such_name  # noqa: B018  # the access is the test
    with pytest.raises(ImportError):
        from trio_gossip import no_such_name  # noqa: F401  # the import is the test


def test_completion_offers_every_public_name() -> None:
    assert {*trio_gossip.__all__} <= {*dir(trio_gossip)}
