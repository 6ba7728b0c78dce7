"""The report bundle: everything that a report says, as of its cut-off, as one JSON document.

It is kept and hashed in canonical form (RFC 8785). The PDF is drawn from it alone, it is attached to
the PDF, and every machine-readable export is derived from it, so that none can disagree.

Instants are RFC 3339 in UTC; digests 64 lowercase hex digits; names of people are as then known.
A `ref` (E1, E2, ...) is the short evidence id printed beside each number: it names one row of
`evidence`, which holds the long id, the SHA-256 and the audit entry. What nobody stated is an empty
text, an empty list or null, and prints as "not stated".
"""

from typing import Any, Final, Literal, NotRequired, TypedDict

SCHEMA: Final = "countersign.report-bundle/1"

Verdict = Literal["pass", "fail", "insufficient"]
Word = Literal["supported", "conditional", "not supported"]


class Report(TypedDict):
    """`framework` is null for the plain record of a version; else the data pack's id, title,
    version and application date. `supersedes` is the id of the report that this one replaces."""

    id: str
    kind: Literal["version-record"]
    title: str
    cut_off: str
    requested_by: str
    framework: dict[str, str] | None
    supersedes: str | None
    verify_url: str


class Installation(TypedDict):
    organisation: str
    url: str
    log_origin: str
    software: str


class Evidence(TypedDict):
    """One row of the evidence index. `entry` is the audit entry that recorded it; `sha256` is empty
    only for a recorded fact that has no bytes of its own, which the entry then fixes."""

    ref: str
    id: str
    kind: str
    title: str
    sha256: str
    at: str
    by: str
    entry: str


class Person(TypedDict):
    name: str
    role: str
    since: str


class Stakeholder(TypedDict):
    name: str
    interest: str


class Model(TypedDict):
    name: str
    title: str
    kind: str
    description: str
    portfolio: str
    legal_entity: str
    people: list[Person]
    stakeholders: list[Stakeholder]


class Use(TypedDict):
    name: str
    purpose: str
    excluded_uses: list[str]
    success_criteria: list[str]
    affected_people: str
    decision_rule: dict[str, Any]
    exposure: str
    operator_role: str
    legal_entity: str
    tier: int | None
    tier_reason: str


class Artifact(TypedDict):
    name: str
    format: str
    digest: str
    size: int | None


class Claim(TypedDict):
    """A metric as the developer stated it, of grade `claimed`."""

    metric: str
    value: float | None
    slice: dict[str, str]


class Version(TypedDict):
    ref: str
    number: int
    label: str
    revision: int
    description: str
    artifact: Artifact
    code_repository: str
    code_commit: str
    parameters: dict[str, Any]
    environment: dict[str, Any]
    claims: list[Claim]
    parent: int | None
    author: str
    registered_by: str
    registered_at: str
    retired_at: str | None


class Source(TypedDict):
    name: str
    digest: str
    transformation: str


class Dataset(TypedDict):
    ref: str
    name: str
    title: str
    digest: str
    purposes: list[str]
    rows: int | None
    columns: list[str]
    source: str
    licence: str
    collected_from: str | None
    collected_until: str | None
    contains_personal_data: bool
    sources: list[Source]


class Measurement(TypedDict):
    """`slice` as a check gives it: `{}` overall, `{"sex": "Female"}` a group, `{"sex": "*"}` a
    comparison between groups. Exactly one of `value` and `undefined` is given. Where `n` is under
    `n_below` it is kept from everybody; `estimated` is the registered version that estimated the
    groups."""

    metric: str
    slice: dict[str, str]
    value: float | None
    lower: float | None
    upper: float | None
    level: float | None
    n: int | None
    undefined: str
    method: str
    unit: str
    n_below: NotRequired[int]
    estimated: NotRequired[str]


class Check(TypedDict):
    """One run of one check; failed and cancelled runs are listed too, without measurements, and so are
    runs to which a newer one answered the same question: `superseded_by` is its ref, or empty."""

    ref: str
    id: str
    kind: str
    purpose: str
    state: str
    attempt: int
    grade: str
    engine: str
    libraries: dict[str, str]
    seed: int
    dataset: str
    reference: str
    rows: int | None
    finished_at: str | None
    error: str
    superseded_by: str
    cube_digest: str
    measurements: list[Measurement]
    plots: list[dict[str, Any]]
    notes: list[str]


class ControlFigure(TypedDict):
    """What a control weighed, with the evidence that it came from: a number, or a word."""

    name: str
    value: float | str | None
    lower: float | None
    upper: float | None
    n: int | None
    limit: str
    unit: str
    ref: str


class ControlResult(TypedDict):
    """`sentence` is what the control asks, `reason` why it came out so. `mode` is `block`, `warn` or
    `report`. `waiver` is the ref of a waiver that covers it, or empty."""

    control: str
    sentence: str
    verdict: Verdict
    mode: str
    reason: str
    figures: list[ControlFigure]
    clauses: list[str]
    waiver: str


class Policy(TypedDict):
    """`judged_at`: the instant for which its controls were judged."""

    ref: str
    name: str
    revision: int
    digest: str
    published_at: str
    judged_at: str
    controls: list[ControlResult]


class Dossier(TypedDict):
    ref: str
    digest: str
    frozen_at: str


class Finding(TypedDict):
    ref: str
    title: str
    severity: str
    state: str
    owner: str
    opened_at: str
    due: str | None
    closed_at: str | None


class Validation(TypedDict):
    ref: str
    by: str
    at: str
    rating: str
    scope: str
    conclusion: str
    limitations: str
    findings: list[str]


class Signature(TypedDict):
    ref: str
    name: str
    role: str
    decision: str
    meaning: str
    at: str
    method: str
    signed_digest: str
    reason: str


class Approval(TypedDict):
    """`in_force` says whether it counted at the cut-off, and `ended` why not if it did not."""

    ref: str
    use: str
    environment: str
    conditional: bool
    revision: int
    policy_revision: int
    granted_at: str
    valid_until: str | None
    conditions: list[str]
    in_force: bool
    ended: str


class Waiver(TypedDict):
    ref: str
    controls: list[str]
    reason: str
    compensating: str
    requested_by: str
    seconded_by: str
    since: str
    until: str


class Event(TypedDict):
    """A suspension, breach, incident, gate decision or deployment. `open` is true if it still holds
    at the cut-off; `figures` are the numbers behind it."""

    ref: str
    what: str
    at: str
    until: str | None
    open: bool
    place: str
    detail: str
    by: str
    figures: list[ControlFigure]


class Observation(TypedDict):
    """What a monitor found in one window. `ref` is the run's; `batch` its batch, or where it begins."""

    ref: str
    batch: str
    window_end: str
    value: float | None
    lower: float | None
    upper: float | None
    n: int | None
    undefined: str


class Watched(TypedDict):
    """One limit of a monitor, and the figure over the windows, oldest first."""

    limit: str
    metric: str
    slice: dict[str, str]
    value: float
    unit: str
    observations: list[Observation]


class Monitor(TypedDict):
    ref: str
    name: str
    kind: str
    environment: str
    watched: list[Watched]
    last_run_at: str | None
    open_breaches: int


class Change(TypedDict):
    """One line of the change history, from the audit log. `entry` is the entry's id."""

    at: str
    what: str
    by: str
    entry: str


class Standing(TypedDict):
    """Of (version, use, environment) at the cut-off, and why."""

    environment: str
    state: str
    reason: str


class Log(TypedDict):
    """The log when the bundle was frozen. `checkpoint` is the whole signed note."""

    ref: str
    origin: str
    size: int
    root: str
    checkpoint: str


class LeftOut(TypedDict):
    """How many older rows the lists of this bundle do not hold; the log holds them all."""

    changes: int
    gate_decisions: int


class Facts(TypedDict):
    """All that was gathered, before anything is concluded from it."""

    schema: str
    report: Report
    installation: Installation
    model: Model
    use: Use
    version: Version
    datasets: list[Dataset]
    checks: list[Check]
    policy: Policy | None
    dossier: Dossier | None
    validations: list[Validation]
    findings: list[Finding]
    signatures: list[Signature]
    approvals: list[Approval]
    waivers: list[Waiver]
    suspensions: list[Event]
    incidents: list[Event]
    breaches: list[Event]
    gate_decisions: list[Event]
    deployments: list[Event]
    monitors: list[Monitor]
    standing: Standing
    changes: list[Change]
    left_out: LeftOut
    evidence: list[Evidence]
    log: Log | None


class Statement(TypedDict):
    text: str
    refs: list[str]


class Summary(TypedDict):
    """What follows from the facts, by `reports.conclusions`."""

    word: Word
    sentence: str
    concerns: list[Statement]
    limitations: list[Statement]
    not_stated: list[str]


class ReportBundle(Facts):
    summary: Summary
