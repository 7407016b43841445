"""The file of the control socket: whose it is, what it replaces, and that it goes."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

import pytest

from trio_gossip.cli import control_socket as module
from trio_gossip.cli.control_socket import control_socket, peer_uid
from trio_gossip.cli.problems import BadInputError

pytestmark = pytest.mark.sockets


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request):
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def connects(path: Path) -> int:
    """What the system says of a connection: 0 is a success."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path))


def leave_a_stale_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    assert connects(path) == errno.ECONNREFUSED


def assert_refused(path: Path, part: str) -> None:
    with pytest.raises(BadInputError) as caught, control_socket(str(path)):
        pass
    assert str(caught.value).startswith(f"--control {path}: ")
    assert part in str(caught.value)


def test_only_its_owner_may_open_it_whatever_the_umask(tmp_path, umask):
    path = tmp_path / "a.sock"
    with control_socket(str(path)):
        assert stat.S_ISSOCK(path.lstat().st_mode)
        assert mode_of(path) == 0o600
        assert connects(path) == 0


def test_where_the_system_ignores_the_socket_s_own_mode_nobody_connects_before_it_is_right(
    tmp_path, monkeypatch
):
    """Made with fchmod and chmod in the other order, it would be open to all for a moment."""
    path, seen = tmp_path / "a.sock", []
    chmod = Path.chmod

    def no_fchmod(*_):
        raise OSError(errno.EINVAL, "as on other systems")

    def watched(self, mode, **more):
        seen.append((mode_of(path), connects(path)))
        chmod(self, mode, **more)

    monkeypatch.setattr(module.os, "fchmod", no_fchmod)
    monkeypatch.setattr(Path, "chmod", watched)
    before = os.umask(0)
    try:
        with control_socket(str(path)):
            assert mode_of(path) == 0o600
            assert connects(path) == 0
    finally:
        os.umask(before)
    assert seen == [(0o777, errno.ECONNREFUSED)]


def test_it_is_gone_after_the_block_also_after_an_error(tmp_path):
    path = tmp_path / "a.sock"
    with pytest.raises(ZeroDivisionError), control_socket(str(path)):
        raise ZeroDivisionError
    assert not path.exists()
    with control_socket(str(path)):
        pass
    assert list(tmp_path.iterdir()) == []


def test_the_file_of_an_agent_that_died_is_replaced(tmp_path):
    path = tmp_path / "a.sock"
    leave_a_stale_socket(path)
    with control_socket(str(path)):
        assert connects(path) == 0
        assert mode_of(path) == 0o600


def test_a_living_agent_keeps_its_socket(tmp_path):
    path = tmp_path / "a.sock"
    with control_socket(str(path)):
        with (
            pytest.raises(BadInputError, match="another process listens there"),
            control_socket(str(path)),
        ):
            pass
        assert connects(path) == 0


def test_an_agent_that_is_too_busy_to_accept_is_alive(tmp_path):
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as first:
        busy.bind(str(path))
        busy.listen(0)
        first.connect(str(path))  # the queue is full
        with (
            pytest.raises(BadInputError, match="another process listens there"),
            control_socket(str(path)),
        ):
            pass
        assert path.exists()


@pytest.mark.parametrize("kind", ["file", "folder", "link", "pipe"])
def test_what_is_no_socket_is_left_alone(tmp_path, kind):
    path = tmp_path / "a.sock"
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    elif kind == "link":
        target = tmp_path / "target"
        leave_a_stale_socket(target)
        path.symlink_to(target)
    else:
        os.mkfifo(path)
    before = path.lstat()
    with (
        pytest.raises(BadInputError, match="it is there already, and it is no socket"),
        control_socket(str(path)),
    ):
        pass
    assert path.lstat() == before
    if kind == "file":
        assert path.read_text() == "precious"


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("no/such/folder.sock", "no such file or directory"),
        ("x" * 200, "AF_UNIX path too long"),
        ("a\0b", "it is no path of a file"),
        ("", ""),
    ],
)
def test_a_path_that_cannot_be_is_one_line(tmp_path, name, part):
    path = f"{tmp_path}/{name}"
    with pytest.raises(BadInputError) as caught, control_socket(path):
        pass
    assert str(caught.value).startswith(f"--control {path}: ")
    assert part.lower() in str(caught.value).lower()
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_one_line(tmp_path):
    tmp_path.chmod(0o500)
    with (
        pytest.raises(BadInputError, match="permission denied"),
        control_socket(str(tmp_path / "a.sock")),
    ):
        pass


def test_the_socket_of_somebody_who_has_replaced_ours_is_not_removed(tmp_path):
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as other:
        with control_socket(str(path)):
            path.unlink()
            other.bind(str(path))
            other.listen()
        assert connects(path) == 0


def test_a_socket_that_comes_to_life_while_it_is_looked_at_is_not_removed(tmp_path, monkeypatch):
    path = tmp_path / "a.sock"
    leave_a_stale_socket(path)
    identities = iter([(1, 1), (2, 2)])
    monkeypatch.setattr(module, "_identity", lambda _: next(identities))
    assert_refused(path, "in use")
    assert path.exists()


def test_the_user_at_the_other_end_is_known():
    left, right = socket.socketpair(socket.AF_UNIX)
    with left, right:
        assert peer_uid(left) == os.geteuid()
    assert peer_uid(left) is None  # closed


def test_a_system_that_does_not_tell_the_user_is_no_error(monkeypatch):
    monkeypatch.delattr(module.socket, "SO_PEERCRED")
    left, right = socket.socketpair(socket.AF_UNIX)
    with left, right:
        assert peer_uid(left) is None
