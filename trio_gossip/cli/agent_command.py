"""The options of ``trio-gossip agent``, and which of them go together."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any, Final

import click
import trio

from trio_gossip.cli.endpoints import advertised, all_dialled, bound
from trio_gossip.cli.problems import BadInputError

if TYPE_CHECKING:
    from trio_gossip.addresses import Address
    from trio_gossip.cli.security import SecuritySettings

PROFILE_NAMES: Final = ("lan", "fast", "safe", "wan", "local")

profile_option = click.option(
    "--profile",
    type=click.Choice(PROFILE_NAMES),
    default="lan",
    show_default=True,
    help="Timing: how fast to probe and how long to wait before a death is declared.",
)


@click.command()
@click.option("--name", required=True, help="Name of this member, unique in the cluster.")
@click.option(
    "--bind",
    metavar="HOST:PORT",
    callback=bound,
    required=True,
    help="Where to listen, UDP and TCP. Port 0 lets the system choose.",
)
@click.option(
    "--join",
    "seeds",
    metavar="HOST:PORT",
    callback=all_dialled,
    multiple=True,
    help="A member to join through; may be given several times.",
)
@profile_option
@click.option(
    "--detector",
    type=click.Choice(("evidence", "memberlist")),
    default="evidence",
    show_default=True,
    help="Rules by which silent members are judged; all members alike.",
)
@click.option("--meta", default="", metavar="TEXT", help="Told to every member, up to 512 bytes.")
@click.option(
    "--advertise",
    callback=advertised,
    metavar="HOST[:PORT]",
    help="Address to tell others where it is not the bound one (NAT).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.option(
    "--leave-at-eof",
    is_flag=True,
    help="Leave when standard input ends: for agents that another program has started.",
)
@click.option("--keyring", metavar="FILE", help="Seal packets and streams with these keys.")
@click.option("--label", metavar="TEXT", help="Separates clusters that share a key.")
@click.option(
    "--accept-plain", is_flag=True, help="Take what is not sealed as well: to turn sealing on."
)
@click.option(
    "--send-plain", is_flag=True, help="Do not seal yet: the first step of turning sealing on."
)
@click.option("--tls-cert", metavar="FILE", help="Streams under mutual TLS: our certificate.")
@click.option("--tls-key", metavar="FILE", help="Its private key.")
@click.option("--tls-ca", metavar="FILE", help="The CA that signs the certificates of members.")
@click.option(
    "--tls-packets", is_flag=True, help="Packets over TLS too, instead of UDP; all members alike."
)
@click.option(
    "--control", metavar="PATH", help="Take requests at this Unix socket: members, keys, leave..."
)
@click.pass_obj
def agent(
    log_level: str,
    /,
    *,
    name: str,
    bind: Address,
    seeds: tuple[str, ...],
    profile: str,
    detector: str,
    meta: str,
    advertise: str | None,
    as_json: bool,
    leave_at_eof: bool,
    control: str | None,
    **security: Any,
) -> int:
    """Be a member of a cluster and print a line for every event.

    Lines on standard input are broadcast to all other members. SIGINT (Ctrl-C), SIGTERM and
    SIGHUP say goodbye to the others and exit with 0; a second signal stops at once and exits
    with 1.
    """
    # Lazily: `trio-gossip --help` and bad options need none of it.
    from trio_gossip.cli.agent import PROFILES, AgentSettings, run_agent

    settings = AgentSettings(
        config=PROFILES[profile](
            name=name, meta=meta.encode(errors="surrogateescape"), detector=detector
        ),
        profile=profile,
        bind=bind,
        advertise=advertise,
        seeds=seeds,
        json=as_json,
        leave_at_eof=leave_at_eof,
        security=_security(**security),
        control=control,
    )
    log_to_stderr(log_level)
    return trio.run(run_agent, settings)


def _security(
    *,
    keyring: str | None,
    label: str | None,
    accept_plain: bool,
    send_plain: bool,
    tls_cert: str | None,
    tls_key: str | None,
    tls_ca: str | None,
    tls_packets: bool,
) -> SecuritySettings:
    """Put the options of security together.

    Raises:
        BadInputError: one of them means nothing without another one.
    """
    # Lazily: `trio-gossip --help` and bad options need none of it.
    from trio_gossip.cli.certificates import CertificateFiles
    from trio_gossip.cli.security import SecuritySettings

    if keyring is None:
        sealing = (("label", label), ("accept-plain", accept_plain), ("send-plain", send_plain))
        for option, value in sealing:
            if value not in (None, False):
                raise BadInputError(f"--{option} needs --keyring: without keys nothing is sealed")
    if send_plain and not accept_plain:
        raise BadInputError("--send-plain needs --accept-plain: the others send in plain as well")
    from trio_gossip_transports.encrypted import LABEL_BYTES_MAX

    data = (label or "").encode(errors="surrogateescape")
    if len(data) > LABEL_BYTES_MAX:
        raise BadInputError(f"--label has {len(data)} bytes, at most {LABEL_BYTES_MAX}")
    files = {"--tls-cert": tls_cert, "--tls-key": tls_key, "--tls-ca": tls_ca}
    tls = None
    if tls_cert is not None and tls_key is not None and tls_ca is not None:
        tls = CertificateFiles(certificate=tls_cert, key=tls_key, ca=tls_ca)
    elif any(path is not None for path in files.values()):
        missing = " and ".join(option for option, path in files.items() if path is None)
        raise BadInputError(f"TLS needs {missing} as well")
    elif tls_packets:
        raise BadInputError("--tls-packets needs --tls-cert, --tls-key and --tls-ca")
    return SecuritySettings(
        keyring=keyring,
        label=data,
        accept_plain=accept_plain,
        send_plain=send_plain,
        tls=tls,
        tls_packets=tls_packets,
    )


def log_to_stderr(level: str) -> None:
    """Let log lines of this severity go to standard error."""
    logging.basicConfig(
        stream=sys.stderr,
        level=level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
