"""What the pages say is true of the code: commands, examples, names, bounds, counters, tables."""

from __future__ import annotations

import ast
import random
import re
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import trio_gossip
import trio_gossip.testing
import trio_gossip_transports
from trio_gossip import Address, Config
from trio_gossip.codec import NativeCodec
from trio_gossip.codec.messages import Alive, IndirectPing, Nack, Ping
from trio_gossip.engine import Engine, Notify, SendPacket

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PACKAGES = (trio_gossip, trio_gossip_transports, trio_gossip.testing)
PAGES = sorted([*DOCS.glob("*.rst"), *DOCS.glob("testing/*.rst")])
FILES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md")]
LIMITS = (DOCS / "limits.rst").read_text()


def load(folder: str, name: str) -> ModuleType:
    """A module of the documentation, which is no package."""
    sys.path.insert(0, str(DOCS / folder))
    try:
        return import_module(name)
    finally:
        sys.path.remove(str(DOCS / folder))


bounds = load("_ext", "bounds")
precedence = load("_ext", "precedence")


def targets() -> set[str]:
    text = (ROOT / "Makefile").read_text()
    return set(re.findall(r"^([a-z]+):", text, re.MULTILINE))


# -- commands ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*FILES, *PAGES], ids=lambda path: path.name)
def test_every_make_command_that_a_page_names_exists(path: Path):
    named = re.findall(
        r"^ *make ([a-z ]+?)(?: +#|$)|`make ([a-z ]+?)`", path.read_text(), re.MULTILINE
    )
    wanted = {word for pair in named for words in pair for word in words.split()}
    assert wanted <= targets()


def test_every_target_of_the_make_file_is_phony_and_in_its_help_or_said_to_contributors():
    makefile = (ROOT / "Makefile").read_text()
    phony = set(re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)[1].split())
    assert phony == targets()
    told = makefile + (ROOT / "CONTRIBUTING.md").read_text()
    for target in targets() - {"help", "clean"}:
        assert f"make {target}" in told, target


def test_the_first_screen_says_what_it_is_what_it_is_not_and_two_commands():
    first_screen = "\n".join((ROOT / "README.md").read_text().splitlines()[:22])
    assert "membership" in first_screen
    assert "What it is not" in first_screen
    assert "make demo" in first_screen
    assert "make test" in first_screen


def test_the_continuous_integration_calls_the_command_of_the_readme():
    assert "\nmake test\n" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.parametrize("path", [*FILES, *PAGES], ids=lambda path: path.name)
def test_every_file_that_a_page_leads_to_exists(path: Path):
    text = path.read_text()
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", text)
    links += re.findall(r"(?:literalinclude|include):: (\S+)", text)
    for link in links:
        assert (path.parent / link).exists(), link


# -- examples ---------------------------------------------------------------------------


def readme_example() -> str:
    text = (ROOT / "README.md").read_text()
    return re.search(r"## Quick start.+?```python\n(.+?)```", text, re.DOTALL)[1]


def test_the_quick_start_is_short():
    code = [line for line in readme_example().splitlines() if line.strip()]
    assert len(code) <= 28


def python_blocks(path: Path) -> list[str]:
    text = path.read_text()
    if path.suffix == ".md":
        return re.findall(r"```python\n(.+?)```", text, re.DOTALL)
    found = re.findall(r"^( *)\.\. code-block:: python\n\n((?:\1   .*\n|\n)+)", text, re.MULTILINE)
    return [re.sub(rf"^{indent}   ", "", block, flags=re.MULTILINE) for indent, block in found]


@pytest.mark.parametrize("path", [*FILES, *PAGES], ids=lambda path: path.name)
def test_the_code_in_the_pages_is_python_and_uses_names_that_exist(path: Path):
    public = {"cluster": trio_gossip.Cluster, "events": trio_gossip.Subscription}
    known = {package.__name__: package.__all__ for package in PACKAGES}
    for block in python_blocks(path):
        code = re.sub(r"(?<=\))(?: as \w+)?:\s*\.\.\.$", r"\g<0>", block)
        tree = compile(code, path.name, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                owner = public.get(node.value.id)
                there = owner is None or hasattr(owner, node.attr) or node.attr == "members"
                assert there, ast.unparse(node)
            elif isinstance(node, ast.ImportFrom) and node.module in known:
                assert {alias.name for alias in node.names} <= {*known[node.module]}


async def test_the_example_in_memory_tells_how_a_member_died(autojump_clock):
    example = load("examples", "first_cluster")
    story = await example.main()
    assert [line.split()[4] for line in story] == ["joined", "suspected", "failed"]
    # Who is first to notice is a matter of chance; the lines in the page are such lines.
    shape = re.compile(
        r" *\d+\.\d s ago: c (joined|suspected|failed)"
        rf" \(({'|'.join(reason.value.replace('_', ' ') for reason in trio_gossip.Reason)});"
        r" incarnation \d+ at c:7946\)"
        r"( (silent|stalled|refused);)?"
        r"( accused by \w(, \w)*)?(;? tried \w+(, \w+)*)?"
        r"(; (probed|suspected|told|final ping) \d\.\d s(, \w+( ping)? \d\.\d s)* before)?"
        r"(;? our own health score was \d+)?"
    )
    shown = re.findall(r"^    (.+ s ago: .+)$", (DOCS / "quickstart.rst").read_text(), re.MULTILINE)
    assert len(shown) == len(story)
    for line in (*shown, *story):
        assert shape.fullmatch(line), line


async def test_the_example_of_state_prints_what_the_page_shows(autojump_clock):
    lines = await load("examples", "keys_and_values").main()
    page = (DOCS / "cluster.rst").read_text()
    assert "\n".join(f"    {line}" for line in lines) in page


def test_the_example_that_drives_the_engine_prints_what_the_page_shows():
    example = load("examples", "drive_engine")
    lines = example.main()
    page = (DOCS / "engine.rst").read_text()
    assert "\n".join(f"    {line}" for line in lines) in page
    assert example.main() == lines, "the same seed gives the same run"


# -- names ------------------------------------------------------------------------------


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.__name__)
def test_every_public_name_is_documented(package: ModuleType):
    pages = "\n".join(path.read_text() for path in PAGES)
    described = {
        name.rpartition(".")[2] for name in re.findall(r"\.\. (?:auto\w+|data):: ([\w.]+)", pages)
    }
    assert set(package.__all__) <= described


def test_every_module_of_the_engine_is_in_the_architecture():
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"`(\w+)\.py`", text))
    modules = {path.stem for path in (ROOT / "trio_gossip" / "engine").glob("*.py")}
    assert modules - {"__init__", "claimed", "origin"} <= named
    everywhere = {path.stem for path in (ROOT / "trio_gossip").rglob("*.py")}
    everywhere |= {path.stem for path in (ROOT / "tests").rglob("*.py")}
    assert named <= everywhere


# -- limits -----------------------------------------------------------------------------


def documented_bounds() -> set[str]:
    return set(re.findall(r":bound:`([^`]+)`", LIMITS))


def test_every_bound_in_the_code_stands_in_the_page_of_limits():
    missing = {f"{module}.{name}" for module, name in bounds.constants()} - documented_bounds()
    assert not missing


def test_every_cache_stands_in_the_page_of_limits():
    assert list(bounds.caches())
    assert {f"{module}.{name}" for module, name in bounds.caches()} <= documented_bounds()


def test_every_setting_that_is_a_bound_stands_in_the_page_of_limits():
    fields = [field.name for field in trio_gossip.Config.__attrs_attrs__]
    settings = {f"Config.{name}" for name in fields if name.endswith("_max")}
    assert settings <= documented_bounds()


def test_every_bound_in_the_pages_exists_in_the_code():
    for path in PAGES:
        for name in re.findall(r":bound:`([^`]+)`", path.read_text()):
            assert bounds.bound(name)


def test_a_bound_that_is_gone_is_noticed():
    with pytest.raises(LookupError):
        bounds.bound("trio_gossip.engine.relay.NO_SUCH_MAX")
    with pytest.raises(LookupError):
        bounds.bound("Config.no_such_field")
    assert not bounds.is_counter("no_such_counter")


def documented_counters() -> set[str]:
    return set(re.findall(r":counter:`([^`]+)`", LIMITS))


def test_every_counter_in_the_page_exists_in_the_code():
    for name in documented_counters():
        assert bounds.is_counter(name), name


def test_every_counter_of_the_engine_stands_in_the_page():
    plain = {name for name in bounds.counters() if "{}" not in name}
    assert plain, "none found"
    assert plain <= documented_counters()


def test_every_counter_that_is_built_from_a_reason_stands_in_the_page():
    codec = bounds.decode_reasons()
    of_packets = codec - {"frame_length", "unknown_frame", "frames_too_small", "dead"}
    of_frames = codec - {"oversized"}
    expected = {f"packet_{reason}" for reason in of_packets}
    expected |= {f"frame_{reason}" for reason in of_frames}
    expected |= {f"dial_{failure.value}" for failure in trio_gossip.DialFailure}
    assert expected <= documented_counters()


# -- concepts ---------------------------------------------------------------------------


@pytest.mark.parametrize("held", precedence.HELD)
@pytest.mark.parametrize("claim", precedence.CLAIMS)
def test_an_older_claim_changes_nothing(held: str, claim: str):
    known = precedence.outcome(held, claim, "lower")
    newcomer = held == "unknown"
    assert known == (("joined" if claim == "alive" else "ignored") if newcomer else "old news")


def test_the_table_of_claims_says_what_the_text_beside_it_says():
    outcome = precedence.outcome
    assert outcome("alive", "suspect", "equal") == "suspected"
    assert outcome("suspect", "alive", "equal") == "old news"
    assert outcome("suspect", "alive", "higher") == "recovered"
    assert outcome("suspect", "suspect", "equal") == "confirmed"
    assert outcome("suspect", "suspect", "higher") == "suspected anew"
    assert outcome("suspect", "dead", "equal") == "failed"
    assert outcome("failed", "alive", "higher") == "alive again"
    assert outcome("failed", "goodbye", "equal") == "left"
    assert outcome("left", "dead", "higher") == "only noted"


def test_every_word_of_the_table_of_claims_is_explained():
    page = (DOCS / "concepts.rst").read_text()
    cells = {word for row in precedence.table() for cell in row[1:] for word in cell.split(" / ")}
    plain = {"joined", "suspected", "failed", "left", "recovered", "alive again", "ignored"}
    for word in cells - plain:
        assert f"*{word}*" in page, word


def test_the_timeline_of_a_probe_by_memberlists_rules_is_that_of_the_engine():
    codec = NativeCodec()
    here = {name: Address(f"10.0.0.{number}", 7946) for number, name in enumerate("abcde", 1)}
    engine = Engine(
        Config.lan(name="a", detector="memberlist"),
        here["a"],
        rng=random.Random(1),
        packet_limit=1400,
    )
    outputs = engine.start(now=0.0)
    for name in "bcde":
        alive = Alive(1, name, here[name], b"", trio_gossip.Versions().pack())
        outputs += engine.receive_packet(codec.pack([codec.encode(alive)]), here["b"], now=0.0)

    began, asked = None, []
    while True:
        now = engine.next_deadline
        outputs = engine.handle_timeout(now=now)
        sent = [each for each in outputs if isinstance(each, SendPacket)]
        for message in (m for each in sent for m in codec.unpack_untrusted(each.data)):
            if isinstance(message, Ping) and began is None:
                began, target = now, message.target
            elif isinstance(message, IndirectPing):
                asked.append((now, message))
        suspected = [each for each in outputs if isinstance(each, Notify)]
        if suspected:
            break

    assert suspected[0].event.member.name == target
    assert now == pytest.approx(began + 1.0)
    assert [at for at, _ in asked] == pytest.approx([began + 0.5] * 3)
    assert {request.budget for _, request in asked} <= {499, 500}

    helper = Engine(
        Config.lan(name="b", detector="memberlist"),
        here["b"],
        rng=random.Random(1),
        packet_limit=1400,
    )
    helper.start(now=0.0)
    for name in "ac":
        alive = Alive(1, name, here[name], b"", trio_gossip.Versions().pack())
        helper.receive_packet(codec.pack([codec.encode(alive)]), here["a"], now=0.0)
    request = IndirectPing(7, "c", here["c"], "a", 500)
    helper.receive_packet(codec.pack([codec.encode(request)]), here["a"], now=0.0)
    nacked_at = None
    while nacked_at is None:
        now = helper.next_deadline
        for each in helper.handle_timeout(now=now):
            if isinstance(each, SendPacket) and Nack(7) in codec.unpack_untrusted(each.data):
                nacked_at = now
    assert nacked_at == pytest.approx(0.4)


# -- changes ----------------------------------------------------------------------------


def test_every_news_fragment_has_a_name_that_the_change_log_understands():
    fragments = [path.name for path in (DOCS / "newsfragments").glob("*.rst")]
    for name in fragments:
        assert re.fullmatch(r"\d+\.(feature|bugfix|misc)\.rst", name), name
    assert "towncrier release notes start" in (ROOT / "CHANGELOG.rst").read_text()
