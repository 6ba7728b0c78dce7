"""The command `countersign`. Exit codes: 0 allow or valid, 1 deny or invalid, 2 pending, 3 cannot
decide (a pipeline treats it as deny), 64 usage."""

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

from countersign_client import __version__, checking, deciding, registering, reporting, verifying
from countersign_client.errors import ClientError, Exit, UsageError
from countersign_client.manifest import sha256_of
from countersign_client.session import Session


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(Exit.USAGE, f"{self.prog}: {message}\n")


def build_parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="countersign",
        description="Register, check, submit and gate model versions; verify what Countersign signed.",
        epilog="COUNTERSIGN_URL and COUNTERSIGN_TOKEN (or COUNTERSIGN_TOKEN_FILE) say where and who.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    _add_register(commands)
    _add_check(commands)
    _add_decisions(commands)
    _add_report(commands)
    _add_verify(commands)
    return parser


def _add_register(commands: Any) -> None:
    register = commands.add_parser("register", help="register what a manifest says")
    register.add_argument("manifest", type=Path)
    evidence = commands.add_parser("evidence", help="add a file as evidence of a version")
    _version_arguments(evidence)
    evidence.add_argument("file", type=Path)
    evidence.add_argument("--kind", required=True)
    evidence.add_argument("--name")


def _add_check(commands: Any) -> None:
    check = commands.add_parser("check", help="ask for checks and wait for them")
    check.add_argument("--manifest", type=Path, help="run the checks that it lists")
    check.add_argument("--model")
    check.add_argument("--version", type=int, help="its number")
    check.add_argument("--kind")
    check.add_argument("--dataset")
    check.add_argument("--reference")
    check.add_argument("--config", type=Path, help="JSON")
    check.add_argument("--run", help="watch a run that was asked for before")
    check.add_argument("--retry", metavar="RUN", help="ask a run that is over once more, as it was")
    check.add_argument("--cancel", metavar="RUN", help="call a run off")
    check.add_argument("--wait", type=float, default=1800, metavar="SECONDS")


def _add_decisions(commands: Any) -> None:
    submit = commands.add_parser("submit", help="submit a version for review")
    _version_arguments(submit)
    submit.add_argument("--environment", required=True)
    submit.add_argument("--use", default="default")
    submit.add_argument("--note", default="")
    gate = commands.add_parser("gate", help="ask whether an artifact may be deployed")
    gate.add_argument("--environment", required=True)
    gate.add_argument("--model")
    gate.add_argument("--version", type=int, help="its number")
    gate.add_argument("--use", default="default")
    gate.add_argument("--digest")
    gate.add_argument("--artifact", type=Path, help="take the digest of this file")
    gate.add_argument("--purpose", choices=["deploy", "rollback", "restart"], default="deploy")
    gate.add_argument("--run-id", help="the pipeline's own id of this run")
    gate.add_argument("--key", type=Path, help="PEM of the gate's key: verify what it signed")
    gate.add_argument("--out", type=Path, help="save the attestation here")
    gate.add_argument(
        "--wait", type=float, default=0, metavar="SECONDS", help="while it is pending"
    )
    deployed = commands.add_parser("deployed", help="tell that a version runs somewhere")
    _version_arguments(deployed)
    deployed.add_argument("--environment", required=True)
    deployed.add_argument("--use", default="default")
    deployed.add_argument("--kind", default="champion")
    deployed.add_argument("--decision", help="the gate decision's id")


def _add_report(commands: Any) -> None:
    report = commands.add_parser("report", help="get the signed PDF of a version")
    _version_arguments(report)
    report.add_argument("--environment", required=True)
    report.add_argument("--use", default="default")
    report.add_argument("--out", type=Path, required=True)
    report.add_argument("--wait", type=float, default=600, metavar="SECONDS")


def _add_verify(commands: Any) -> None:
    verify = commands.add_parser(
        "verify", help="verify an attestation, a log export or a report, without the server"
    )
    verify.add_argument("file", type=Path)
    verify.add_argument("--key", type=Path, help="attestation: PEM of the gate's public key")
    verify.add_argument("--digest", help="attestation: the artifact's SHA-256")
    verify.add_argument("--artifact", type=Path, help="attestation: the artifact itself")
    verify.add_argument("--environment", help="attestation: where it is to be deployed")
    verify.add_argument("--use", help="attestation: what it is to be used for")
    verify.add_argument("--at", help="attestation: judge its expiry at this instant")
    verify.add_argument(
        "--vkey", action="append", default=[], help="log: verifier key, text or file"
    )
    verify.add_argument(
        "--older", action="append", default=[], help="log: a checkpoint kept earlier"
    )
    verify.add_argument(
        "--seal", type=Path, help="report: PEM of the certificate that must have sealed it"
    )


def _version_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True)
    parser.add_argument("--version", type=int, required=True, help="its number")


def main(arguments: Sequence[str] | None = None) -> int:
    options = build_parser().parse_args(arguments)
    try:
        return int(_run(options))
    except ClientError as error:
        print(f"countersign: {error}", file=sys.stderr)
        return int(error.exit_code)
    except KeyboardInterrupt:
        return int(Exit.CANNOT_DECIDE)


def _run(options: argparse.Namespace) -> Exit:
    if options.command == "verify":
        return _verify(options)
    session = Session.from_environment()
    if options.command == "register":
        registering.register(session, options.manifest)
    elif options.command == "evidence":
        registering.add_evidence(
            session,
            options.model,
            options.version,
            kind=options.kind,
            path=options.file,
            name=options.name,
        )
    elif options.command == "check":
        _check(session, options)
    elif options.command == "submit":
        deciding.submit(
            session,
            options.model,
            options.version,
            environment=options.environment,
            use=options.use,
            note=options.note,
        )
    elif options.command == "gate":
        return _gate(session, options)
    elif options.command == "deployed":
        _deployed(session, options)
    else:
        record = {"model": options.model, "version": options.version, "use": options.use}
        record["environment"] = options.environment
        reporting.report(session, record, options.out, wait=options.wait)
    return Exit.YES


def _check(session: Session, options: argparse.Namespace) -> None:
    if options.run:
        checking.watch(session, [options.run], wait=options.wait)
        return
    if options.cancel:
        checking.cancel(session, options.cancel)
        return
    if options.retry:
        run = checking.ask_again(session, options.retry)
        checking.watch(session, [run["id"]], wait=options.wait)
        return
    if options.version is None:
        raise UsageError("--version says which version")
    if options.manifest:
        checking.check_manifest(session, options.manifest, options.version, wait=options.wait)
        return
    if not options.model or not options.kind:
        raise UsageError("give --manifest, or --model and --kind")
    wanted: dict[str, Any] = {"kind": options.kind}
    for name in ("dataset", "reference"):
        if getattr(options, name):
            wanted[name] = getattr(options, name)
    if options.config:
        try:
            wanted["config"] = json.loads(options.config.read_text())
        except (OSError, ValueError) as error:
            raise UsageError(f"{options.config}: {error}") from None
    run = checking.request(session, options.model, options.version, wanted)
    checking.watch(session, [run["id"]], wait=options.wait)


def _gate(session: Session, options: argparse.Namespace) -> Exit:
    question: dict[str, Any] = {
        "environment": options.environment,
        "use": options.use,
        "purpose": options.purpose,
    }
    for name in ("model", "version", "digest", "run_id"):
        if getattr(options, name) is not None:
            question[name] = getattr(options, name)
    if not {"digest", "version"} & set(question) and options.artifact is None:
        raise UsageError("give --artifact, --digest, or --model with --version")
    return deciding.gate(
        session,
        question,
        artifact=options.artifact,
        key=options.key,
        out=options.out,
        wait=options.wait,
    )


def _deployed(session: Session, options: argparse.Namespace) -> None:
    record: dict[str, Any] = {
        "environment": options.environment,
        "use": options.use,
        "kind": options.kind,
    }
    if options.decision:
        record["gate_decision"] = options.decision
    deciding.deployed(session, options.model, options.version, record)


def _verify(options: argparse.Namespace) -> Exit:
    digest = options.digest
    if options.artifact is not None:
        if not options.artifact.is_file():
            raise UsageError(f"there is no file {options.artifact}")
        digest = sha256_of(options.artifact)
    at = None
    if options.at:
        try:
            at = datetime.fromisoformat(options.at)
        except ValueError:
            raise UsageError("--at: expected an RFC 3339 instant") from None
        if at.tzinfo is None:
            raise UsageError("--at: the instant needs an offset, as Z")
    return verifying.verify_file(
        options.file,
        key=options.key,
        vkeys=options.vkey,
        older=options.older,
        digest=digest,
        environment=options.environment,
        use=options.use,
        at=at,
        seal=options.seal,
    )


if __name__ == "__main__":
    sys.exit(main())
