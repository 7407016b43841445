"""What is shipped: built as an installer would build it, and looked into."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# The hooks of PEP 517, called as a build front end does, but with the hatchling that is installed:
# an isolated build would have to download it.
BUILD = "import sys; from hatchling import build; print(getattr(build, sys.argv[1])(sys.argv[2]))"


def build(what: str, source: Path, into: Path) -> Path:
    done = subprocess.run(
        [sys.executable, "-c", BUILD, f"build_{what}", str(into)],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return into / done.stdout.split()[-1]


@attrs.frozen
class Built:
    sdist: Path
    wheel: Path
    unpacked: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A source archive of this tree, and a wheel that was built from nothing but that archive."""
    folder = tmp_path_factory.mktemp("built")
    sdist = build("sdist", ROOT, folder)
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    unpacked = folder / sdist.name.removesuffix(".tar.gz")
    return Built(sdist, build("wheel", unpacked, folder), unpacked)


def names(built: Built) -> list[str]:
    with zipfile.ZipFile(built.wheel) as wheel:
        return wheel.namelist()


def metadata(built: Built) -> Message:
    with zipfile.ZipFile(built.wheel) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(wheel.read(name).decode())


def test_the_wheel_holds_two_packages_and_nothing_beside_them(built: Built):
    tops = {name.partition("/")[0] for name in names(built)}
    version = PROJECT["project"]["version"]
    assert tops == {
        "trio_gossip",
        "trio_gossip_transports",
        f"trio_gossip-{version}.dist-info",
    }


def test_both_packages_say_that_they_are_typed(built: Built):
    assert {"trio_gossip/py.typed", "trio_gossip_transports/py.typed"} <= set(names(built))


def test_the_wheel_holds_every_module_and_no_test_or_cache(built: Built):
    expected = {
        str(path.relative_to(root))
        for root, package in (
            (ROOT, "trio_gossip"),
            (ROOT / "transports", "trio_gossip_transports"),
        )
        for path in (root / package).rglob("*.py")
    }
    code = {name for name in names(built) if ".dist-info/" not in name}
    static = ROOT / "trio_gossip" / "testing" / "page" / "static"
    data = {str(path.relative_to(ROOT)) for path in static.iterdir()}
    typed = {"trio_gossip/py.typed", "trio_gossip_transports/py.typed"}
    assert code - typed == expected | data


def test_the_wheel_carries_the_licence_in_its_modern_form(built: Built):
    about = metadata(built)
    assert about["License-Expression"] == "MIT OR Apache-2.0"
    assert about["License-File"] == "LICENSE"
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names(built))


def test_the_licence_file_holds_both_texts():
    text = (ROOT / "LICENSE").read_text()
    assert 'THE SOFTWARE IS PROVIDED "AS IS"' in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert text.count("Apache License") > 1


def test_the_command_line_is_an_extra_and_has_its_script(built: Built):
    about = metadata(built)
    needs = about.get_all("Requires-Dist") or []
    assert any(need.startswith("click") and "extra == 'cli'" in need for need in needs)
    plain = {re.split(r"[<>=!~;\[ ]", need)[0] for need in needs if "extra ==" not in need}
    assert plain == {"trio", "attrs", "cbor2", "cryptography"}
    with zipfile.ZipFile(built.wheel) as wheel:
        name = next(name for name in wheel.namelist() if name.endswith("entry_points.txt"))
        entries = wheel.read(name).decode()
    assert "trio-gossip = trio_gossip.cli:main" in entries
    assert "[pytest11]\ntrio_gossip = trio_gossip.testing.plugin" in entries


def test_the_packages_can_be_imported_out_of_the_wheel(built: Built):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import trio_gossip, trio_gossip_transports\n"
        "trio_gossip.open_cluster, trio_gossip_transports.open_socket_transport\n"
        "print(trio_gossip.__file__); print(trio_gossip_transports.__file__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", code, str(built.wheel)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert all(line.startswith(str(built.wheel)) for line in done.stdout.split())


def test_the_source_archive_holds_what_is_needed_to_test_and_to_build_the_pages(built: Built):
    for name in ("Makefile", "constraints.txt", "README.md", "LICENSE", "CHANGELOG.rst"):
        assert (built.unpacked / name).is_file(), name
    for path in (*(ROOT / "tests").rglob("*.py"), *(ROOT / "docs").glob("*.rst")):
        assert (built.unpacked / path.relative_to(ROOT)).is_file(), path
    assert (built.unpacked / "docs" / "conf.py").is_file()


def requirements() -> list[str]:
    project = PROJECT["project"]
    groups = [project["dependencies"], PROJECT["build-system"]["requires"]]
    groups += project["optional-dependencies"].values()
    groups += PROJECT["dependency-groups"].values()
    return [need for group in groups for need in group]


def test_every_dependency_has_a_lower_bound():
    for need in requirements():
        assert ">=" in need, f"{need} has no lower bound"


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    found = dict(line.split("==") for line in wanted)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in found.items()}


def test_every_dependency_is_pinned_to_a_version_that_its_bound_allows():
    for need in requirements():
        name, bound = re.fullmatch(r"([\w.-]+)(?:\[\w+\])?>=([\d.]+).*", need).groups()
        version = pins()[re.sub(r"[-_.]+", "-", name).lower()]
        numbers = [[int(n) for n in re.findall(r"\d+", text)] for text in (version, bound)]
        assert numbers[0] >= numbers[1], f"{name} is pinned to {version}, below {bound}"


def test_the_pins_name_no_index_and_no_address():
    text = (ROOT / "constraints.txt").read_text()
    assert "://" not in text
    assert not re.search(r"^\s*-", text, re.MULTILINE), "an option in a list of pins"
    assert all(re.fullmatch(r"[\w.+!]+", version) for version in pins().values())


def test_the_wheel_needs_the_python_that_the_make_file_asks_for(built: Built):
    assert metadata(built)["Requires-Python"] == ">=3.11"
    assert "sys.version_info < (3, 11)" in (ROOT / "Makefile").read_text()
