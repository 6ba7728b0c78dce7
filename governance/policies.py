"""Policies: YAML that a risk officer can read and write, read strictly into frozen dataclasses.

What is unknown, mistyped, doubled or could never fire is refused with the path of the field, so
that what is published does what it says. There is no expression language.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from governance.controls.base import Check, listed
from governance.controls.judging import Rule, sentence
from governance.controls.results import Mode
from governance.policy_reading import Reader, is_slug, load
from kernel.canonical import sha256_hex
from kernel.errors import Invalid
from monitoring import windows

MAX_SOURCE = 256 * 1024
# Roles whose holders may sign a review (the access table says the same, and a test compares them).
SIGNING_ROLES = ("owner", "validator", "risk_officer")

SigningRole = Literal["owner", "validator", "risk_officer"]
Effect = Literal["no_new_deployment", "fall_back", "stop"]


@dataclass(frozen=True, kw_only=True)
class AppliesTo:
    """Where it may be bound. Nothing said: everywhere."""

    environments: tuple[str, ...] = ()
    tiers: tuple[int, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Approvals:
    """`quorum` signatures by holders of different `roles`, those of `required` among them.

    One person fills one role.
    """

    roles: tuple[SigningRole, ...]
    quorum: int
    required: tuple[SigningRole, ...] = ()

    def sentence(self) -> str:
        roles = [role.replace("_", " ") for role in self.roles]
        if self.quorum == len(roles):
            return f"A {listed(roles)} approve, each a different person."
        needed = [role.replace("_", " ") for role in self.required]
        among = f", {listed(needed)} among them" if needed else ""
        return f"{self.quorum} of {listed(roles)} approve, each a different person{among}."


@dataclass(frozen=True, kw_only=True)
class MonitorLimit:
    """A limit on one measurement of production data; exactly one of the two bounds."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    attribute: str = ""
    slice: Mapping[str, str] = field(default_factory=dict)
    bound: Literal["value", "lower", "upper"] = "value"
    when_undefined: Literal["ignore", "breach"] = "ignore"

    def to_json(self, control: str) -> dict[str, Any]:
        """The limit as a monitor holds it."""
        about: dict[str, Any] = {"attribute": self.attribute} if self.attribute else {}
        if self.slice:
            about["slice"] = dict(self.slice)
        return {
            "metric": self.metric,
            **about,
            "op": "<=" if self.at_least is None else ">=",
            "value": self.at_most if self.at_least is None else self.at_least,
            "control": control,
            "bound": self.bound,
            "when_undefined": self.when_undefined,
        }


@dataclass(frozen=True, kw_only=True)
class PolicyMonitor:
    """A check that runs on production data by itself. `effect`: what a breach does at once.

    `source`: the batches that are sent, or the table that the version names as its production data, of
    which each window is counted again as the next `recheck` end.
    """

    name: str
    check: Check
    limits: tuple[MonitorLimit, ...]
    effect: Effect = "no_new_deployment"
    min_rows: int = 100
    consecutive: int = 1
    silent_after_days: float | None = None
    silent_after_windows: int | None = 3
    window: str = windows.BATCH
    wait_hours: float = 0.0
    source: Literal["batches", "production"] = "batches"
    recheck: int | None = None
    config: Mapping[str, Any] = field(default_factory=dict)

    def limits_json(self) -> list[dict[str, Any]]:
        return [limit.to_json(self.name) for limit in self.limits]


@dataclass(frozen=True, kw_only=True)
class GateTerms:
    """How the gate answers under this policy."""

    decision_valid_minutes: int = 60
    rollback_window_days: int = 30
    restart_when_suspended: Literal["allow", "deny"] = "allow"


@dataclass(frozen=True, kw_only=True)
class WaiverTerms:
    """How long a control may be waived at most, and which never."""

    max_days: int = 30
    never: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Policy:
    """A policy as it was written. `digest` is the SHA-256 of the YAML's bytes."""

    name: str
    title: str
    validity_days: int
    approvals: Approvals
    controls: tuple[Rule, ...]
    description: str = ""
    applies_to: AppliesTo = AppliesTo()
    monitors: tuple[PolicyMonitor, ...] = ()
    gate: GateTerms = GateTerms()
    waivers: WaiverTerms = WaiverTerms()
    digest: str = ""

    def control(self, identity: str) -> Rule | None:
        return next((rule for rule in self.controls if rule.id == identity), None)

    def sentences(self) -> list[dict[str, str]]:
        """Each control in words, for pages and reports."""
        return [
            {
                "control": rule.id,
                "mode": rule.mode.value,
                "sentence": sentence(rule.condition),
                "why": rule.why,
                "remedy": rule.remedy,
                "clause": rule.clause,
            }
            for rule in self.controls
        ]


def parse(source: str) -> Policy:
    """Read a policy.

    Raises:
        Invalid: with the path of each field that is wrong, as `controls[2].limit`.
    """
    data = source.encode()
    if len(data) > MAX_SOURCE:
        raise Invalid(f"a policy has at most {MAX_SOURCE} bytes", field="source")
    document = load(source)
    problems: dict[str, str] = {}
    reader = Reader(problems)
    rules = reader.rules(document) if isinstance(document, Mapping) else ()
    policy = reader.dataclass(
        Policy, document, "", given={"controls": rules, "digest": sha256_hex(data)}
    )
    if not problems and isinstance(policy, Policy):
        problems.update(_contradictions(policy))
        if not problems:
            return policy
    raise Invalid.many(problems)


def _contradictions(policy: Policy) -> Iterator[tuple[str, str]]:
    """What is well formed by itself and makes no sense together."""
    if not is_slug(policy.name):
        yield "name", "expected lowercase letters, digits and hyphens, 60 at most"
    if not policy.title.strip():
        yield "title", "is empty"
    if not 1 <= policy.validity_days <= 1826:
        yield "validity_days", "expected 1 to 1826 days"
    yield from _doubled([rule.id for rule in policy.controls], "controls[{}].id")
    yield from _doubled([monitor.name for monitor in policy.monitors], "monitors[{}].name")
    if not any(rule.mode is Mode.BLOCK for rule in policy.controls):
        yield "controls", "none is in mode 'block': this policy could never deny"
    yield from _approvals_problems(policy.approvals)
    for tier in policy.applies_to.tiers:
        if not 1 <= tier <= 4:
            yield "applies_to.tiers", "expected tiers from 1 to 4"
    yield from _terms_problems(policy)
    for index, monitor in enumerate(policy.monitors):
        yield from _monitor_problems(monitor, f"monitors[{index}]")


def _doubled(names: Sequence[str], path: str) -> Iterator[tuple[str, str]]:
    for index, name in enumerate(names):
        if name in names[:index]:
            yield path.format(index), f"'{name}' is there twice"


def _approvals_problems(approvals: Approvals) -> Iterator[tuple[str, str]]:
    if not 1 <= approvals.quorum <= len(approvals.roles):
        yield "approvals.quorum", f"expected 1 to {len(approvals.roles)}, the roles there are"
    stray: list[str] = [role for role in approvals.required if role not in approvals.roles]
    if stray:
        yield "approvals.required", f"{listed(stray)} is not among the roles"
    elif len(approvals.required) > approvals.quorum:
        yield "approvals.required", "names more roles than the quorum asks signatures"


def _terms_problems(policy: Policy) -> Iterator[tuple[str, str]]:
    if not 1 <= policy.gate.decision_valid_minutes <= 7 * 24 * 60:
        yield "gate.decision_valid_minutes", "expected 1 minute to 7 days (10080)"
    if not 0 <= policy.gate.rollback_window_days <= 366:
        yield "gate.rollback_window_days", "expected 0 to 366"
    if not 0 <= policy.waivers.max_days <= 366:
        yield "waivers.max_days", "expected 0 (no waivers) to 366"
    known = {rule.id for rule in policy.controls}
    for name in policy.waivers.never:
        if name not in known:
            yield "waivers.never", f"there is no control '{name}'"


def _monitor_problems(monitor: PolicyMonitor, path: str) -> Iterator[tuple[str, str]]:
    if not is_slug(monitor.name):
        yield f"{path}.name", "expected lowercase letters, digits and hyphens"
    if monitor.min_rows < 1:
        yield f"{path}.min_rows", "expected 1 or more"
    if not 1 <= monitor.consecutive <= 100:
        yield f"{path}.consecutive", "expected 1 to 100"
    if monitor.silent_after_days is not None and monitor.silent_after_days <= 0:
        yield f"{path}.silent_after_days", "expected more than 0"
    if monitor.silent_after_windows is not None and not 1 <= monitor.silent_after_windows <= 100:
        yield f"{path}.silent_after_windows", "expected 1 to 100"
    if monitor.window not in windows.WINDOWS:
        yield f"{path}.window", f"expected one of {', '.join(windows.WINDOWS)}"
    if not 0 <= monitor.wait_hours <= 366 * 24:
        yield f"{path}.wait_hours", "expected 0 or more, up to a year"
    if monitor.source == "production" and monitor.window == windows.BATCH:
        yield f"{path}.window", "a table is cut by time: name a stretch, as day or week"
    if monitor.recheck is not None:
        if monitor.source == "batches":
            yield f"{path}.recheck", "only windows of a table are counted again"
        elif not 0 <= monitor.recheck <= windows.MOST_RECHECKS:
            yield f"{path}.recheck", f"expected 0 to {windows.MOST_RECHECKS}"
    seen = []
    for index, limit in enumerate(monitor.limits):
        here = f"{path}.limits[{index}]"
        if (limit.at_least is None) == (limit.at_most is None):
            yield f"{here}.at_most", "expected exactly one of: at_least, at_most"
        if limit.attribute and limit.slice:
            yield f"{here}.slice", "is given beside an attribute; say which of the two is meant"
        about = (limit.metric, limit.attribute, limit.slice, limit.at_least is None)
        if about in seen:
            yield here, "limits the same thing twice"
        seen.append(about)
