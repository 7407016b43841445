"""Looks up what the pages name: constants, settings, counters. No sphinx here."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import attrs

from trio_gossip.config import Config

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = (ROOT / "trio_gossip", ROOT / "transports" / "trio_gossip_transports")


def bound(name: str) -> tuple[str, str]:
    """The short name and the value of a constant (its full path) or of a ``Config`` field; of a
    cached function, the size of its cache.

    Raises:
        LookupError: there is no such constant or field.
    """
    if name.startswith("Config."):
        field = name.removeprefix("Config.")
        fields = {each.name: each for each in attrs.fields(Config)}
        if field not in fields:
            raise LookupError(f"Config has no field {field}")
        return field, spell(fields[field].default)
    module, _, constant = name.rpartition(".")
    try:
        value = getattr(import_module(module), constant)
    except (ImportError, AttributeError, ValueError) as error:
        raise LookupError(f"there is no constant {name}") from error
    if hasattr(value, "cache_parameters"):
        value = value.cache_parameters()["maxsize"]
    return constant, spell(value)


def spell(value: object) -> str:
    """A value as a person writes it: powers of two and multiples of 1024 are kept readable."""
    if type(value) is int and value >= 2**32:
        power = value.bit_length() - 1
        if value == 2**power:
            return f"2^{power}"
    if type(value) is int and value >= 2**20 and value % 2**20 == 0:
        return f"{value // 2**20} Mi"
    if type(value) is int and value >= 2**16 and value % 2**10 == 0:
        return f"{value // 2**10} Ki"
    return f"{value:,}" if type(value) is int else str(value)


def constants() -> Iterator[tuple[str, str]]:
    """Every constant of both packages that says by its name that it is a bound: (module, name)."""
    for module, tree in _modules():
        for node in tree.body:
            targets = [node.target] if isinstance(node, ast.AnnAssign) else []
            targets += node.targets if isinstance(node, ast.Assign) else []
            for target in targets:
                if isinstance(target, ast.Name) and target.id.endswith(("_MAX", "_KEPT")):
                    yield module, target.id


def caches() -> Iterator[tuple[str, str]]:
    """Every function of both packages that remembers its results: (module, name)."""
    for module, tree in _modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                decorators = " ".join(map(ast.unparse, node.decorator_list))
                # A cached property is one value of its object and needs no bound.
                if "cache" in decorators.replace("cached_property", ""):
                    yield module, node.name


@cache
def counters() -> frozenset[str]:
    """Every counter of the engine. A name that the code builds has ``{}`` in it."""
    found: set[str] = set()
    calls = [node for _, tree in _modules() for node in ast.walk(tree) if _is_call(node)]
    counting = {"bump", *_functions_that_count_by_an_argument()}
    for call in calls:
        if _name(call.func) in counting:
            for argument in call.args:
                found |= _texts(argument)
    for _, tree in _modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.Return) and node.value is not None:
                # Reasons that are returned first and counted by the caller.
                found |= {text for text in _texts(node.value) if text.startswith("refused_")}
    return frozenset(found)


def _functions_that_count_by_an_argument() -> set[str]:
    """Functions that count under a name which their caller gives them."""
    return {
        function.name
        for _, tree in _modules()
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef) and function.name != "bump"
        for node in ast.walk(function)
        if _is_call(node) and _name(node.func) == "bump" and node.args
        if ast.unparse(node.args[0]) in {argument.arg for argument in function.args.args}
    }


@cache
def statistics() -> set[str]:
    """Every field of a class of statistics."""
    return {
        each.target.id
        for _, tree in _modules()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and node.name.endswith("Statistics")
        for each in node.body
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name)
    }


def decode_reasons() -> set[str]:
    """Every reason with which the codec refuses bytes."""
    return {
        reason
        for module, tree in _modules()
        if module.startswith("trio_gossip.codec")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "DecodeError"
        for reason in _texts(node.args[0])
    }


@cache
def _modules() -> tuple[tuple[str, ast.Module], ...]:
    """Every module of both packages with its tree, read once."""
    found: list[tuple[str, ast.Module]] = []
    for package in PACKAGES:
        for path in sorted(package.rglob("*.py")):
            name = ".".join(path.relative_to(package.parent).with_suffix("").parts)
            found.append((name.removesuffix(".__init__"), ast.parse(path.read_text())))
    return tuple(found)


def _is_call(node: ast.AST) -> bool:
    return isinstance(node, ast.Call)


def _name(called: ast.expr) -> str:
    return ast.unparse(called).rpartition(".")[2]


def _texts(expression: ast.expr) -> set[str]:
    """The texts that an expression can be, with ``{}`` for each part that is computed."""
    if isinstance(expression, ast.Constant):
        return {expression.value} if isinstance(expression.value, str) else set()
    if isinstance(expression, ast.JoinedStr):
        parts = [str(p.value) if isinstance(p, ast.Constant) else "{}" for p in expression.values]
        return {"".join(parts)}
    if isinstance(expression, ast.IfExp):
        return _texts(expression.body) | _texts(expression.orelse)
    return set()


def is_counter(name: str) -> bool:
    """True when the code counts under this name, or under one that it builds like this."""
    return any(
        re.fullmatch(re.escape(known).replace(r"\{\}", r"\w+"), name)
        for known in counters() | statistics()
    )
