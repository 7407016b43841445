"""Key files: who may read them, what may be in them, and that writing is all or nothing."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.transports.sealing.helpers import K1, K2
from trio_gossip_transports import Key, Keyring, KeyringError
from trio_gossip_transports import key_file as module
from trio_gossip_transports.key_file import FILE_BYTES_MAX, read_keys, write_keys


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def put(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_ring_is_saved_and_loaded(path: Path):
    Keyring([K1, K2]).save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [key.secret for key in Keyring.load(path).list()] == [K1, K2]
    assert [entry.name for entry in path.parent.iterdir()] == ["keys"]


def test_comments_and_empty_lines_do_not_count(path: Path):
    put(path, f"# mine\n\n  {Key(K1).text}\r\n   # more\n{Key(K2).text}".encode())
    assert read_keys(path) == [Key(K1), Key(K2)]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o644, 0o666])
def test_a_file_that_others_can_get_at_is_refused(path: Path, mode: int):
    Keyring([K1]).save(path)
    path.chmod(mode)
    with pytest.raises(KeyringError, match="other users can get at it") as caught:
        Keyring.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_of_another_user_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch):
    Keyring([K1]).save(path)
    real = os.fstat

    def of_another(descriptor: int) -> os.stat_result:
        fields = list(real(descriptor))
        fields[4] = os.geteuid() + 1
        return os.stat_result(fields)

    monkeypatch.setattr(module.os, "fstat", of_another)
    with pytest.raises(ValueError, match="another user"):
        read_keys(path)


def test_a_link_is_followed_to_the_permissions_of_what_it_leads_to(path: Path):
    Keyring([K1]).save(path)
    link = path.with_name("link")
    link.symlink_to(path)
    assert read_keys(link) == [Key(K1)]
    path.chmod(0o644)
    with pytest.raises(ValueError, match="other users"):
        read_keys(link)


def test_writing_replaces_a_link_and_not_what_it_leads_to(path: Path):
    put(path, b"precious")
    link = path.with_name("link")
    link.symlink_to(path)
    write_keys(link, [Key(K1)])
    assert not link.is_symlink()
    assert path.read_bytes() == b"precious"


def test_a_pipe_a_folder_and_nothing_are_refused_without_waiting(path: Path):
    os.mkfifo(path, 0o600)
    with pytest.raises(ValueError, match="not a plain file"):
        read_keys(path)
    with pytest.raises((ValueError, OSError)):
        read_keys(path.parent)
    with pytest.raises(FileNotFoundError):
        read_keys(path.with_name("none"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no key in it"),
        (b"# only words\n", "no key in it"),
        (b"\xff\xfe", "not a text"),
        (b"secret-but-no-base64!\n", "line 1: a key is base64"),
        (b"# x\n" + b"QUJD\n", "line 2: a key has 16, 24 or 32 bytes, not 3"),
        (b"#" * (FILE_BYTES_MAX + 1), "longer than"),
    ],
)
def test_junk_is_refused_in_one_line_that_holds_nothing_of_it(
    path: Path, content: bytes, words: str
):
    with pytest.raises(KeyringError, match=words) as caught:
        Keyring.load(put(path, content))
    assert "secret-but" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_many_keys_are_refused(path: Path):
    put(path, b"".join(Key(bytes([n]) * 16).text.encode() + b"\n" for n in range(9)))
    with pytest.raises(KeyringError, match="at most 8"):
        Keyring.load(path)


@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode))
def test_any_content_is_keys_or_a_value_error(tmp_path_factory, content: bytes):
    path = put(tmp_path_factory.getbasetemp() / "any", content)
    with contextlib.suppress(ValueError):
        assert all(len(key.secret) in (16, 24, 32) for key in read_keys(path))


def test_writing_that_fails_leaves_the_former_file_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    Keyring([K1]).save(path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        Keyring([K2]).save(path)
    monkeypatch.undo()
    assert read_keys(path) == [Key(K1)]
    assert [entry.name for entry in path.parent.iterdir()] == ["keys"]


def test_a_former_file_with_loose_permissions_gets_tight_ones(path: Path):
    put(path, b"old", 0o666)
    Keyring([K1]).save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_removed_key_brings_up_who_was_away_also_after_a_restart(path: Path):
    """All who knew it restarted within its grace, and a member that was away was locked out for
    good."""
    Keyring([K1]).save(path)
    ring = Keyring.load(path, autosave=True)
    ring.install(K2)
    ring.use(K2)
    ring.remove(K1)
    again = Keyring.load(path)
    assert again.list() == (Key(K2),)
    assert again.find_retired(Key(K1).id) == Key(K1)
    [retired] = again.snapshot.retired
    assert 0.0 < retired.until - time.monotonic() <= again.grace
    assert read_keys(path) == [Key(K2)]
    again.path = path
    again.forget(Key(K1).id)
    assert Key(K1).text not in path.read_text()
    assert Keyring.load(path).snapshot.retired == ()


def test_what_is_left_of_a_grace_is_bounded_by_that_of_the_ring_and_by_the_clock(path: Path):
    def load(until: float, **options: float) -> float:
        put(path, f"{Key(K2).text}\nretired {until} {Key(K1).text}\n".encode())
        retired = Keyring.load(path, **options).snapshot.retired
        return retired[0].until - time.monotonic() if retired else 0.0

    assert load(time.time() - 1.0) == 0.0
    assert 90.0 < load(time.time() + 100.0) <= 100.0
    assert 40.0 < load(1e300, grace=50.0) <= 50.0
    assert load(1e300, grace=0.0) == 0.0
    put(path, f"{Key(K2).text}\nretired 1e300 {Key(K2).text}\n".encode())
    assert Keyring.load(path).snapshot.retired == ()


@pytest.mark.parametrize(
    "line",
    [
        "retired",
        "retired 1",
        "retired x KEY",
        "retired nan KEY",
        "retired 1 KEY KEY",
        "retired 1 x",
    ],
)
def test_a_line_of_a_removed_key_that_is_none_is_refused(path: Path, line: str):
    put(path, f"{Key(K2).text}\n{line.replace('KEY', Key(K1).text)}\n".encode())
    with pytest.raises(KeyringError, match=r"line 2: a (removed )?key is") as caught:
        Keyring.load(path)
    assert Key(K1).text not in str(caught.value)


def test_removed_keys_alone_are_no_keyring(path: Path):
    put(path, f"retired 1e300 {Key(K1).text}\n".encode())
    with pytest.raises(KeyringError, match="no key in it"):
        Keyring.load(path)
