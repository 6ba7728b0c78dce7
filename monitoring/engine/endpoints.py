"""Scoring through a customer's own endpoint: one contract, endpoints that the operator names.

`COUNTERSIGN_SCORING_ENDPOINTS` names a TOML file:

    [endpoints.credit]
    url = "https://models.internal:8443/score"
    secret = "${CREDIT_SCORING_SECRET}"
    batch = 500
    timeout_seconds = 30

A user picks a name. A secret is written `${NAME}` and comes from the environment, from `NAME` or the
file that `NAME_FILE` names. Calls go out by `kernel.outbound`: a private address needs the
operator's word in `COUNTERSIGN_OUTBOUND_ALLOW`. docs/scoring-endpoint.md is the contract.
"""

import base64
import hashlib
import hmac
import http.client
import json
import os
import re
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kernel import outbound
from kernel.conf import ConfigurationError
from kernel.errors import Invalid, Unavailable, Unprocessable
from kernel.identifiers import parse_digest
from monitoring.engine.documents import Fields

VARIABLE = "COUNTERSIGN_SCORING_ENDPOINTS"
SCHEMA = "countersign.scoring/1"
FIELD = "config.scoring_endpoint"
TRIES = 4
PAUSES = (0.5, 2.0, 8.0)
MOST_BYTES = 16 << 20
"""Of one answer; of one request as much."""
_NAME = re.compile(r"[a-z0-9][a-z0-9_\-]{0,62}")
_SECRET = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Endpoint:
    """Where rows are sent to be scored. `secret` signs what is sent."""

    name: str
    url: str = field(repr=False)
    secret: str = field(repr=False)
    batch: int = 1_000
    timeout_seconds: int = 30


@dataclass(frozen=True)
class Answer:
    """Of a batch, in the order of its rows. Either may be missing, not both."""

    scores: Sequence[float] | None
    predictions: Sequence[int] | None


def catalogue(environ: Mapping[str, str] | None = None) -> dict[str, Endpoint]:
    """The endpoints of the operator's file; none without one.

    Raises:
        ConfigurationError: the file cannot be read or says something else than an endpoint.
    """
    environ = os.environ if environ is None else environ
    path = environ.get(VARIABLE)
    if not path:
        return {}
    try:
        read = tomllib.loads(Path(path).read_text())
        whole = Fields(read, VARIABLE, ("endpoints",)).mapping("endpoints")
        return {name: _endpoint(name, value, environ) for name, value in whole.items()}
    except OSError as error:
        raise ConfigurationError(f"{VARIABLE}: cannot read {path}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{VARIABLE}: {path} is no TOML: {error}") from error
    except Invalid as error:
        raise ConfigurationError(f"{error.field}: {error.detail}") from error


def _endpoint(name: str, value: object, environ: Mapping[str, str]) -> Endpoint:
    where = f"endpoints.{name}"
    if not _NAME.fullmatch(name):
        raise Invalid("expected a name of small letters, digits, - and _", field=where)
    fields = Fields(value, where, ("url", "secret", "batch", "timeout_seconds"))
    secret = _SECRET.sub(lambda found: _secret(found.group(1), environ), fields.text("secret"))
    if len(secret) < 16:
        raise Invalid("expected at least 16 characters", field=f"{where}.secret")
    return Endpoint(
        name,
        outbound.check_url(fields.text("url"), f"{where}.url"),
        secret,
        fields.whole("batch", 1_000, least=1, most=10_000),
        fields.whole("timeout_seconds", 30, least=1, most=600),
    )


def _secret(name: str, environ: Mapping[str, str]) -> str:
    value, path = environ.get(name), environ.get(f"{name}_FILE")
    if value is None and path:
        try:
            value = Path(path).read_text().strip()
        except OSError as error:
            raise ConfigurationError(f"{name}_FILE: cannot read {path}") from error
    if value is None:
        raise ConfigurationError(f"{VARIABLE}: {name} is not in the service's environment")
    return value


def named(name: str) -> Endpoint:
    """The endpoint that a user picked.

    Raises:
        Invalid: the operator named none so.
        Unavailable: the operator's file is at fault.
    """
    try:
        known = catalogue()
    except ConfigurationError as error:
        raise Unavailable("the file of scoring endpoints is at fault", field=FIELD) from error
    if name not in known:
        listed = ", ".join(sorted(known)) or "none"
        raise Invalid(f"no scoring endpoint {name!r}; known are: {listed}", field=FIELD)
    return known[name]


def sign(secret: str, identity: str, timestamp: int, body: bytes) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over `identity.timestamp.body`, as webhooks carry it."""
    content = f"{identity}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret.encode(), content, "sha256")).decode()


def ask(
    endpoint: Endpoint,
    artifact_digest: str,
    rows: Sequence[Mapping[str, Any]],
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Answer:
    """Have a batch of rows scored by the pinned artifact.

    What fails for a while is tried again, with the same identity, so that the other side may know.

    Raises:
        Unavailable: nobody answered, or it kept failing.
        Unprocessable: the answer is not of the contract, or of another artifact.
        Invalid: the address may not be reached, or a row cannot be written as JSON.
    """
    body = _body(artifact_digest, rows)
    identity = hashlib.sha256(body).hexdigest()
    why = ""
    for attempt in range(TRIES):
        if attempt:
            sleep(PAUSES[attempt - 1])
        try:
            answer = _post(endpoint, identity, body)
        except outbound.OutboundRefused as error:
            raise Invalid(f"the endpoint may not be reached: {error}", field=FIELD) from error
        except (OSError, http.client.HTTPException) as error:
            why = f"no answer ({type(error).__name__})"
            continue
        if answer.status in _BUSY:
            why = f"it answered {answer.status}"
            continue
        if answer.status != 200:
            raise Unprocessable(f"the endpoint answered {answer.status}", field=FIELD)
        return read_answer(answer.body, artifact_digest, len(rows))
    raise Unavailable(f"the endpoint {endpoint.name} gave up: {why}", field=FIELD)


def _body(artifact_digest: str, rows: Sequence[Mapping[str, Any]]) -> bytes:
    document = {"schema": SCHEMA, "artifact_digest": artifact_digest, "rows": list(rows)}
    try:
        body = json.dumps(document, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise Invalid(f"a row cannot be written as JSON: {error}", field="dataset") from error
    if len(body) > MOST_BYTES:
        raise Invalid(f"a batch is larger than {MOST_BYTES} bytes; make it smaller", field=FIELD)
    return body


def _post(endpoint: Endpoint, identity: str, body: bytes) -> outbound.Response:
    timestamp = int(time.time())
    headers = {
        "content-type": "application/json",
        "user-agent": "countersign-scoring/1",
        "webhook-id": identity,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign(endpoint.secret, identity, timestamp, body),
    }
    allow = tuple(filter(None, os.environ.get("COUNTERSIGN_OUTBOUND_ALLOW", "").split(",")))
    return outbound.post(
        endpoint.url,
        body,
        headers,
        timeout=float(endpoint.timeout_seconds),
        allow=allow,
        most=MOST_BYTES + 1,
    )


def read_answer(data: bytes, artifact_digest: str, count: int) -> Answer:
    """Read the answer to a batch of `count` rows.

    Raises:
        Unprocessable: naming what is not of the contract.
    """
    if len(data) > MOST_BYTES:
        raise Unprocessable(f"the answer is larger than {MOST_BYTES} bytes", field=FIELD)
    try:
        fields = Fields(json.loads(data), "", ("artifact_digest", "scores", "predictions"))
        served = parse_digest(fields.raw("artifact_digest"), "artifact_digest")
        if served != artifact_digest:
            raise Unprocessable(
                f"the endpoint serves artifact {served}, not the pinned {artifact_digest}",
                field=FIELD,
            )
        scores, predictions = (
            _numbers(fields, "scores", count),
            _numbers(fields, "predictions", count),
        )
        if scores is None and predictions is None:
            raise Invalid("neither scores nor predictions", field="scores")
        if predictions is not None and not set(predictions) <= {0, 1}:
            raise Invalid("expected 0 or 1 for each row", field="predictions")
        decided = None if predictions is None else [int(one) for one in predictions]
        return Answer(scores, decided)
    except (ValueError, RecursionError, Invalid) as error:
        detail = f"{error.field}: {error.detail}" if isinstance(error, Invalid) else "no JSON"
        raise Unprocessable(f"the endpoint's answer: {detail}", field=FIELD) from error


def _numbers(fields: Fields, name: str, count: int) -> list[float] | None:
    if not fields.has(name):
        return None
    values = fields.items(name)
    if len(values) != count:
        raise Invalid(f"{len(values)} answers to {count} rows", field=name)
    for value in values:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not -1e300 < value < 1e300:
            raise Invalid("expected a finite number for each row", field=name)
    return [float(value) for value in values]
