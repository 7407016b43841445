"""``trio-gossip keygen``, and where keys are read from."""

from __future__ import annotations

import base64
import errno
import os
import stat
from io import BytesIO, TextIOWrapper

import pytest
from click.testing import CliRunner

from trio_gossip.cli import keygen as module
from trio_gossip.cli.commands import commands
from trio_gossip.cli.keygen import INPUT_BYTES_MAX, read_key
from trio_gossip.cli.problems import BadInputError
from trio_gossip_transports import Key, Keyring


def keygen(*options):
    return CliRunner().invoke(commands, ["keygen", *map(str, options)])


@pytest.mark.parametrize(
    ("options", "size"), [((), 32), (("--bits", 128), 16), (("--bits", 192), 24)]
)
def test_a_key_is_one_line_of_base64(options, size):
    first, second = keygen(*options), keygen(*options)
    for result in (first, second):
        assert result.exit_code == 0
        assert result.stderr == ""
        assert result.stdout.count("\n") == 1
        assert len(base64.b64decode(result.stdout, validate=False)) == size
    assert first.stdout != second.stdout


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_out_makes_a_keyring_that_an_agent_can_load(tmp_path, umask):
    path = tmp_path / "new.keys"
    before = os.umask(umask)
    try:
        result = keygen("--out", path)
    finally:
        os.umask(before)
    assert result.exit_code == 0
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    (key,) = Keyring.load(path).list()
    assert result.stdout == f"key {key.fingerprint} is in {path}\n"
    assert key.text not in result.output


@pytest.mark.parametrize("kind", ["file", "link"])
def test_out_overwrites_nothing(tmp_path, kind):
    path, target = tmp_path / "new.keys", tmp_path / "target"
    if kind == "file":
        path.write_text("precious")
    else:
        path.symlink_to(target)
    result = keygen("--out", path)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == f"trio-gossip: --out {path}: file exists\n"
    assert kind == "link" or path.read_text() == "precious"
    assert not target.exists()


@pytest.mark.parametrize(("name", "part"), [("no/such", "no such file"), ("a\0b", "null")])
def test_out_where_nothing_can_be_written_is_one_line(tmp_path, name, part):
    result = keygen("--out", f"{tmp_path}/{name}")
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    assert part in result.stderr


def test_a_full_disk_leaves_no_half_of_a_key(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module.os, "fsync", full)
    result = keygen("--out", tmp_path / "new.keys")
    assert result.exit_code == 2
    assert "no space left" in result.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("bits", ["0", "100", "512", "many"])
def test_a_wrong_number_of_bits_is_one_line(bits):
    result = keygen("--bits", bits)
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1


# -- reading ----------------------------------------------------------------------------


@pytest.fixture
def key():
    return Key.generate()


def type_in(monkeypatch, data: bytes) -> None:
    monkeypatch.setattr(module.sys, "stdin", TextIOWrapper(BytesIO(data)))


def test_a_key_is_read_from_a_file_or_standard_input(tmp_path, monkeypatch, key):
    path = tmp_path / "key"
    path.write_text(f"# new\n\n{key.text}\n")
    path.chmod(0o600)
    assert read_key(str(path)) == key
    type_in(monkeypatch, f"  # new\n{key.text}".encode())
    assert read_key("-") == key


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "no key in it"),
        ("# only a comment\n", "no key in it"),
        ("{key}\n{key}\n", "it has 2 keys, and one is wanted"),
        ("{key}x{key}", "a key is base64"),
        ("\u00fc", "text of base64 keys"),
        ("#" * (INPUT_BYTES_MAX + 1), "longer than 16384 bytes"),
    ],
)
@pytest.mark.parametrize("source", ["file", "-"])
def test_what_is_not_one_key_is_one_line_without_it(tmp_path, monkeypatch, key, source, text, part):
    data = text.replace("{key}", key.text).encode()
    if source == "-":
        type_in(monkeypatch, data)
        part = "a key is base64" if text == "\u00fc" else part
    else:
        source = str(tmp_path / "key")
        (tmp_path / "key").write_bytes(data)
        (tmp_path / "key").chmod(0o600)
    with pytest.raises(BadInputError) as caught:
        read_key(source)
    shown = "standard input" if source == "-" else source
    assert str(caught.value).startswith(f"{shown}: ")
    assert part in str(caught.value)
    assert key.text not in str(caught.value)


def test_a_file_that_others_can_read_is_refused(tmp_path, key):
    path = tmp_path / "key"
    path.write_text(key.text)
    path.chmod(0o640)
    with pytest.raises(BadInputError, match="other users can get at it"):
        read_key(str(path))


def test_a_standard_input_that_is_closed_has_no_key(monkeypatch):
    monkeypatch.setattr(module.sys, "stdin", None)
    with pytest.raises(BadInputError, match="standard input: no key in it"):
        read_key("-")


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(BadInputError, match="no such file"):
        read_key(str(tmp_path / "key"))
