"""Whatever is wrong with what was asked: one clear line, exit code 2, never a traceback."""

from __future__ import annotations

import os
import socket

import pytest
from click.testing import CliRunner

from tests.cli.processes import run_to_end
from trio_gossip.addresses import parse_address
from trio_gossip.cli import commands as module
from trio_gossip.cli import endpoints
from trio_gossip.cli.commands import commands

GOOD = ("agent", "--name", "a", "--bind", "127.0.0.1:0")
LONG_LABEL = f"{'x' * 70}.example:7001"

BAD_OPTIONS = [
    (("agent",), "Missing option '--name'"),
    (("agent", "--name", "a"), "Missing option '--bind'"),
    (("nothing",), "No such command 'nothing'"),
    (("--loud",), "No such option"),
    (("--log-level", "loud", "agent"), "'loud' is not one of"),
    ((*GOOD, "--wat"), "No such option"),
    ((*GOOD, "more"), "unexpected extra argument"),
    ((*GOOD, "--profile", "moon"), "'moon' is not one of"),
    ((*GOOD, "--join"), "requires an argument"),
    ((*GOOD, "--join", ""), "has no host"),
    ((*GOOD, "--join", "a:b:c"), "is no address"),
    ((*GOOD, "--join", "host:99999"), "has no valid port"),
    ((*GOOD, "--join", "host:0"), "nobody can be reached at 'host:0'"),
    ((*GOOD, "--join", "0.0.0.0:1"), "nobody can be reached at '0.0.0.0:1'"),
    ((*GOOD, "--advertise", "[::]:1"), "nobody can be reached at '[::]:1'"),
    ((*GOOD, "--advertise", "[zz]:1"), "is no address"),
    (("agent", "--name", "a", "--bind", "127.0.0.1:x"), "has no valid port"),
    (("agent", "--name", "a", "--bind", ":1"), "has no host"),
    (("agent", "--name", "a", "--bind", "::1:7000"), "write [::1]:7000 or [::1:7000]:7946"),
    (("agent", "--name", "a", "--bind", "255.255.255.255:0"), "stands for many hosts"),
    (("agent", "--name", "a", "--bind", "224.0.0.1:0"), "stands for many hosts"),
    (("agent", "--name", "a", "--bind", "[ff02::1]:0"), "stands for many hosts"),
    ((*GOOD, "--join", "::1:7000"), "write [::1]:7000 or [::1:7000]:7946"),
    ((*GOOD, "--join", "224.0.0.1:7000"), "stands for many hosts"),
    (("agent", "--name", "", "--bind", "127.0.0.1:0"), "name '' is empty"),
    (("agent", "--name", "a\nb", "--bind", "127.0.0.1:0"), "unprintable character"),
    (("agent", "--name", "x" * 256, "--bind", "127.0.0.1:0"), "longer than 255 bytes"),
    (("agent", "--name", "\udcff", "--bind", "127.0.0.1:0"), "not valid Unicode"),
    ((*GOOD, "--meta", "x" * 513), "meta has 513 bytes, at most 512"),
    (("demo", "--nodes", "2"), "2 is not in the range"),
    (("demo", "--nodes", "33"), "33 is not in the range"),
    (("demo", "--nodes", "three"), "'three'"),
    (("demo", "--profile", "moon"), "'moon' is not one of"),
]

BAD_HOSTS = [
    (("agent", "--name", "a", "--bind", "no.such.host.invalid:0"), "cannot bind no.such.host"),
    (("agent", "--name", "a", "--bind", "192.0.2.1:0"), "cannot bind 192.0.2.1:0"),
    (("agent", "--name", "a", "--bind", LONG_LABEL), "it is no host name"),
    ((*GOOD, "--join", "no.such.host.invalid:7001"), "--join no.such.host.invalid:7001: unknown"),
    ((*GOOD, "--join", LONG_LABEL), "unknown host"),
    ((*GOOD, "--advertise", "no.such.host.invalid"), "--advertise no.such.host.invalid"),
    ((*GOOD, "--join", "x.invalid:1", "--join", "y.invalid:1"), "unknown host"),
]


def assert_one_clear_line(code: int, output: str, errors: str, part: str) -> None:
    assert code == 2
    assert output == ""
    assert errors.count("\n") == 1
    assert errors.startswith("trio-gossip: ")
    assert part in errors


@pytest.mark.parametrize(("options", "part"), BAD_OPTIONS)
def test_a_bad_option_is_one_line(options, part):
    result = CliRunner().invoke(commands, options)
    assert_one_clear_line(result.exit_code, result.stdout, result.stderr, part)


@pytest.mark.parametrize("text", ["::1", "::", "fe80::1", "[::1]:7000", "2001:db8:0:0:0:0:0:1"])
def test_an_ipv6_address_that_can_be_read_in_one_way_only_is_taken(text):
    assert endpoints.parse(text) == parse_address(text)


@pytest.mark.sockets
@pytest.mark.parametrize(("options", "part"), BAD_HOSTS)
def test_a_bad_host_is_one_line(options, part):
    result = CliRunner().invoke(commands, options)
    assert_one_clear_line(result.exit_code, result.stdout, result.stderr, part)


@pytest.mark.sockets
def test_a_port_in_use_is_one_line_of_a_real_process():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run_to_end("agent", "--name", "a", "--bind", address)
    expected = f"cannot bind {address}: address already in use"
    assert_one_clear_line(done.returncode, done.stdout, done.stderr, expected)


@pytest.mark.sockets
def test_an_unreadable_option_is_one_line_of_a_real_process():
    done = run_to_end(*GOOD, "--join", "\udcff\n:1")
    assert_one_clear_line(done.returncode, done.stdout, done.stderr, "--join")


@pytest.mark.sockets
def test_a_config_that_does_not_fit_the_transport_is_one_line(monkeypatch):
    """Cannot happen with sockets as they are; a smaller packet stands for another transport."""
    from trio_gossip_transports import sockets

    monkeypatch.setattr(sockets.SocketTransport, "packet_limit", 500)
    result = CliRunner().invoke(commands, [*GOOD, "--meta", "x" * 512])
    assert_one_clear_line(result.exit_code, result.stdout, result.stderr, "do not fit a packet")


def test_without_a_command_the_help_is_printed():
    result = CliRunner().invoke(commands, [])
    assert result.exit_code == 0
    assert "agent" in result.stdout
    assert "demo" in result.stdout


@pytest.mark.parametrize("options", [["--help"], ["agent", "-h"], ["demo", "--help"]])
def test_help_is_no_error(options):
    result = CliRunner().invoke(commands, options)
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: ")


def test_the_version_is_printed():
    result = CliRunner().invoke(commands, ["--version"])
    assert result.exit_code == 0
    assert result.stdout.startswith("trio-gossip ")


def test_the_version_of_a_source_tree_is_no_traceback(monkeypatch):
    def missing(name):
        raise module.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(module.metadata, "version", missing)
    result = CliRunner().invoke(commands, ["--version"])
    assert result.exit_code == 0
    assert "not installed" in result.stdout


FAILURES = [
    (OSError(5, os.strerror(5)), 1, "trio-gossip: input/output error\n"),
    (BrokenPipeError(), 1, ""),
    (module.trio.BrokenResourceError("gone"), 1, "trio-gossip: the network is gone: gone\n"),
    (module.ConfigError("odd"), 2, "trio-gossip: odd\n"),
]


@pytest.mark.parametrize(("error", "code", "line"), FAILURES)
def test_what_goes_wrong_while_it_runs_is_one_line_too(monkeypatch, error, code, line):
    def fail(*_):
        raise error

    monkeypatch.setattr(module.trio, "run", fail)
    result = CliRunner().invoke(commands, GOOD)
    assert result.exit_code == code
    assert result.stderr.strip("\n") == line.strip("\n")


def test_a_bug_is_not_hidden(monkeypatch):
    def fail(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(module.trio, "run", fail)
    result = CliRunner().invoke(commands, GOOD)
    assert isinstance(result.exception, ZeroDivisionError)
