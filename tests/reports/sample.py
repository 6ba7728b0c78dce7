"""A report bundle as the census story makes it, for the tests of the pure half."""

import copy
import hashlib
from typing import Any

from kernel.canonical import dumps
from reports.bundle_schema import SCHEMA, Facts, ReportBundle
from reports.conclusions import summarise

ENTRY = "0193b0a2-7c11-7000-8000-0000000000{:02x}"


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def measurement(
    metric: str, slice_: dict[str, str], value: float | None, **more: Any
) -> dict[str, Any]:
    return {
        "metric": metric, "slice": slice_, "value": value, "lower": None, "upper": None,
        "level": None, "n": None, "undefined": "", "method": "", "unit": "", **more,
    }  # fmt: skip


def check(ref: str, kind: str, measurements: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "ref": ref, "id": ENTRY.format(40 + int(ref[1:])), "kind": kind, "purpose": "validation",
        "state": "succeeded", "attempt": 1, "grade": "re-performed", "engine": "DuckDB 2.0.0",
        "rows": 75478, "superseded_by": "", "libraries": {"fairlearn": "0.15.0"}, "seed": 4073709551, "dataset": "census-1994-holdout",
        "reference": "", "finished_at": "2026-11-20T13:01:22.481516Z", "error": "",
        "cube_digest": sha(ref), "measurements": measurements, "plots": [], "notes": [], **more,
    }  # fmt: skip


def _fairness() -> dict[str, Any]:
    rates = [
        ("Female", 0.4312, 0.3981, 0.4649, 842), ("Male", 0.4521, 0.4387, 0.4655, 5320),
    ]  # fmt: skip
    groups = [
        measurement("true_positive_rate", {"sex": g}, v, lower=a, upper=b, n=n, level=0.95,
                    method="Wilson", unit="rate")
        for g, v, a, b, n in rates
    ]  # fmt: skip
    between = measurement(
        "equal_opportunity_difference", {"sex": "*"}, 0.0209, lower=-0.0171, upper=0.0589, n=6162,
        level=0.95, method="multinomial bootstrap, 2000 draws", unit="rate",
    )  # fmt: skip
    race = [
        measurement("true_positive_rate", {"race": "White"}, 0.4519, lower=0.4389, upper=0.465, n=5602,
                    level=0.95, method="Wilson", unit="rate"),
        measurement("true_positive_rate", {"race": "Amer Indian Aleut or Eskimo"}, None, n=19,
                    undefined="insufficient", method="Wilson", unit="rate"),
    ]  # fmt: skip
    plot = {
        "name": "tpr-sex", "kind": "interval", "title": "True positive rate by sex",
        "x_label": "sex", "y_label": "true positive rate",
        "series": [{"name": "true positive rate", "points": [
            *({"label": g, "value": v, "lower": a, "upper": b, "n": n} for g, v, a, b, n in rates),
            {"label": "Not stated", "value": None, "n": 0, "reason": "no_denominator"},
        ]}],
    }  # fmt: skip
    return check(
        "E6", "fairness", [*groups, between, *race], plots=[plot],
        notes=["3 rows without a value of race are counted and kept out of comparisons."],
    )  # fmt: skip


def _performance() -> dict[str, Any]:
    roc = {
        "name": "roc", "kind": "line", "title": "Receiver operating characteristic",
        "x_label": "false positive rate", "y_label": "true positive rate",
        "series": [
            {"name": "version 2", "points": [{"x": k / 40, "y": (k / 40) ** 0.22} for k in range(41)]},
            {"name": "chance", "points": [{"x": 0.0, "y": 0.0}, {"x": 1.0, "y": 1.0}]},
        ],
    }  # fmt: skip
    confusion = {
        "name": "confusion", "kind": "confusion", "title": "Outcome by prediction",
        "x_label": "predicted", "y_label": "actual", "series": [{"name": "counts", "points": [
            {"actual": "positive", "predicted": "positive", "value": 2768},
            {"actual": "positive", "predicted": "negative", "value": 3394},
            {"actual": "negative", "predicted": "positive", "value": 1204},
            {"actual": "negative", "predicted": "negative", "value": 68112},
        ]}],
    }  # fmt: skip
    return check("E5", "performance", [
        measurement("accuracy", {}, 0.9361, lower=0.9344, upper=0.9379, n=75478, level=0.95,
                    method="Wilson", unit="rate"),
        measurement("roc_auc", {}, 0.94137, n=75478, method="trapezoid over score bins"),
        measurement("positives", {}, 6162, unit="count"),
    ], plots=[confusion, roc])  # fmt: skip


def _drift() -> dict[str, Any]:
    plot = {
        "name": "age", "kind": "histogram", "title": "Age, reference and current", "x_label": "age",
        "y_label": "share", "series": [
            {"name": n, "points": [{"from": 18 + 8 * k, "to": 26 + 8 * k, "value": v} for k, v in enumerate(vs)]}
            for n, vs in (("1994", [0.16, 0.2, 0.22, 0.18, 0.13, 0.11]), ("1995", [0.15, 0.19, 0.23, 0.19, 0.13, 0.11]))
        ],
    }  # fmt: skip
    return check("E7", "drift", [
        measurement("psi", {"feature": "age"}, 0.000412, n=75478, method="10 reference deciles"),
        measurement("psi", {"feature": "education"}, 0.00219, n=75478, method="declared categories"),
    ], plots=[plot], dataset="census-1995", reference="census-1994-train",
       libraries={"evidently": "0.7.23"})  # fmt: skip


def _explainability() -> dict[str, Any]:
    bars = [
        ("weeks worked", 1.2412),
        ("education", 0.9031),
        ("age", 0.7713),
        ("capital gains", 0.6044),
    ]
    plot = {
        "name": "importance", "kind": "bar", "title": "Mean absolute SHAP value", "x_label": "feature",
        "y_label": "log-odds", "series": [{"name": "importance", "points": [
            {"label": n, "value": v} for n, v in bars]}],
    }  # fmt: skip
    return check("E8", "explainability", [
        measurement("mean_abs_shap", {"feature": n}, v, n=2000, method="TreeExplainer, 2000 rows") for n, v in bars
    ], plots=[plot], libraries={"shap": "0.51.0"})  # fmt: skip


def _evidence() -> list[dict[str, str]]:
    rows = [
        ("E1", "version", "income-screening 2", sha("artifact"), "Ada Okafor"),
        ("E2", "dataset", "census-1994-train", sha("train"), "Ada Okafor"),
        ("E3", "dataset", "census-1994-holdout", sha("holdout"), "Ada Okafor"),
        ("E4", "policy", "high-risk revision 3", sha("policy"), "Ruth Feld"),
        ("E5", "check run", "performance", sha("E5"), "the service"),
        ("E6", "check run", "fairness", sha("E6"), "the service"),
        ("E7", "check run", "drift", sha("E7"), "the service"),
        ("E8", "check run", "explainability", sha("E8"), "the service"),
        ("E9", "dossier", "dossier of revision 2", sha("dossier"), "Ada Okafor"),
        ("E10", "validation", "validation by Věra Horáková", sha("validation"), "Věra Horáková"),
        ("E11", "signature", "Věra Horáková, validator", sha("signed"), "Věra Horáková"),
        ("E12", "signature", "Ruth Feld, risk officer", sha("signed"), "Ruth Feld"),
        ("E13", "approval", "approval for production", "", "Ruth Feld"),
        ("E14", "deployment", "champion in production", sha("artifact"), "pipeline"),
        ("E15", "gate decision", "allow", sha("attestation"), "pipeline"),
        ("E16", "log checkpoint", "countersign.example/log", sha("checkpoint"), "the service"),
        ("E17", "monitor", "fairness-by-sex", "", "Ruth Feld"),
        ("E18", "finding", "Race groups are too small", "", "Věra Horáková"),
        ("E19", "check run", "fairness, monitoring", sha("E19"), "the service"),
    ]  # fmt: skip
    return [
        {"ref": ref, "id": ENTRY.format(k), "kind": kind, "title": title, "sha256": digest,
         "at": f"2026-11-20T12:{k:02d}:10.250000Z", "by": by, "entry": ENTRY.format(128 + k)}
        for k, (ref, kind, title, digest, by) in enumerate(rows, 1)
    ]  # fmt: skip


def figure(
    name: str, value: float | None, ref: str, limit: str = "", **more: Any
) -> dict[str, Any]:
    return {
        "name": name, "value": value, "lower": None, "upper": None, "n": None, "limit": limit,
        "unit": "", "ref": ref, **more,
    }  # fmt: skip


def _controls() -> list[dict[str, Any]]:
    eod = figure(
        "equal opportunity difference",
        0.0209,
        "E6",
        "at most 0.100",
        lower=-0.0171,
        upper=0.0589,
        n=6162,
    )
    acc = figure("accuracy", 0.9361, "E5", "at least 0.900", lower=0.9344, upper=0.9379, n=75478)
    race = figure("equal opportunity difference by race", None, "E6", "at most 0.100")
    return [
        {"control": "fairness-by-sex", "verdict": "pass", "mode": "block", "clauses": ["AIA-15", "MRM-VAL-3"],
         "sentence": "The equal-opportunity difference by sex is at most 0.10 at 95 % confidence.",
         "reason": "The whole interval lies within the limit.", "figures": [eod], "waiver": ""},
        {"control": "accuracy-floor", "verdict": "pass", "mode": "block", "clauses": ["AIA-15"],
         "sentence": "Accuracy is at least 0.90.", "reason": "The lower end is above the limit.",
         "figures": [acc], "waiver": ""},
        {"control": "fairness-by-race", "verdict": "insufficient", "mode": "warn", "clauses": [],
         "sentence": "The equal-opportunity difference by race is at most 0.10 at 95 % confidence.",
         "reason": "2 of 5 groups have fewer positives than the declared minimum of 30.",
         "figures": [race], "waiver": ""},
    ]  # fmt: skip


def event(ref: str, what: str, **more: Any) -> dict[str, Any]:
    return {
        "ref": ref, "what": what, "at": "2026-11-20T13:30:00Z", "until": None, "open": False,
        "place": "production", "detail": "", "by": "pipeline", "figures": [], **more,
    }  # fmt: skip


def _signature(ref: str, name: str, role: str, meaning: str, minute: int) -> dict[str, Any]:
    return {
        "ref": ref, "name": name, "role": role, "decision": "approve", "meaning": meaning,
        "at": f"2026-11-20T13:{minute}:05.000250Z", "method": "password and TOTP",
        "signed_digest": sha("signed"), "reason": "The evidence supports the use as described.",
    }  # fmt: skip


def _dataset(
    ref: str, name: str, title: str, digest: str, purpose: str, rows: int
) -> dict[str, Any]:
    return {
        "ref": ref, "name": name, "title": title, "digest": digest, "purposes": [purpose], "rows": rows,
        "columns": ["age", "class_of_worker", "education", "weeks_worked", "sex", "race", "income"],
        "source": "US Census Bureau, Current Population Surveys 1994 and 1995", "licence": "CC BY 4.0",
        "collected_from": "1994-01-01", "collected_until": "1994-12-31", "contains_personal_data": True,
        "sources": [{"name": "census-income", "digest": sha("raw"), "transformation": "adults of 1994, split by a hash of the row"}],
    }  # fmt: skip


def facts() -> Facts:
    """The facts of version 2 after its approval."""
    made: Any = {
        "schema": SCHEMA,
        "report": {
            "id": "0193b0a2-7c11-7aaa-8bbb-cccccccccccc", "kind": "version-record",
            "title": "Model governance report", "cut_off": "2026-11-20T14:00:00.123456Z",
            "requested_by": "Ruth Feld", "framework": None, "supersedes": None,
            "verify_url": "https://countersign.example/verify/0193b0a2-7c11-7aaa-8bbb-cccccccccccc",
        },
        "installation": {
            "organisation": "Example Bank plc", "url": "https://countersign.example",
            "log_origin": "countersign.example/log", "software": "Countersign 0.1",
        },
        "model": {
            "name": "income-screening", "title": "Income screening", "kind": "machine learned",
            "description": "Estimates whether a household's yearly income is above 50,000 dollars.",
            "portfolio": "Retail lending", "legal_entity": "Example Bank plc",
            "people": [
                {"name": "Ada Okafor", "role": "developer", "since": "2026-11-01T08:00:00Z"},
                {"name": "Jürgen Weiß", "role": "owner", "since": "2026-11-01T08:00:00Z"},
                {"name": "Věra Horáková", "role": "validator", "since": "2026-11-01T08:00:00Z"},
                {"name": "Ruth Feld", "role": "risk_officer", "since": "2026-11-01T08:00:00Z"},
            ],
            "stakeholders": [{"name": "Customer advocacy", "interest": "Fair treatment of applicants"}],
        },
        "use": {
            "name": "default", "purpose": "Ranks applications for a manual review of affordability.",
            "excluded_uses": ["Automatic refusal of an application", "Pricing"],
            "success_criteria": ["Accuracy ≥ 0.90 on a held-out year", "Equal-opportunity difference by sex ≤ 0.10"],
            "affected_people": "Adults who apply for consumer credit.",
            "decision_rule": {"threshold": 0.37}, "exposure": "", "operator_role": "provider",
            "legal_entity": "Example Bank plc", "tier": 2, "tier_reason": "Credit decisions about people.",
        },
        "version": {
            "ref": "E1", "number": 2, "label": "mitigated", "revision": 2, "description": "Fairlearn grid search.",
            "artifact": {"name": "income.onnx", "format": "onnx", "digest": sha("artifact"), "size": 418220},
            "code_repository": "https://git.example/income", "code_commit": "9f3c2b1d0e4f5a6b7c8d9e0f1a2b3c4d5e6f7a8b",
            "parameters": {"grid_size": 25, "limit": 1.2, "max_iter": 300, "learning_rate": 0.1},
            "environment": {"python": "3.11.7", "fairlearn": "0.15.0", "scikit-learn": "1.9.1"},
            "claims": [{"metric": "accuracy", "value": 0.936, "slice": {}}],
            "parent": 1, "author": "Ada Okafor", "registered_by": "pipeline",
            "registered_at": "2026-11-20T12:01:10.250000Z", "retired_at": None,
        },
        "datasets": [
            _dataset("E2", "census-1994-train", "Census 1994, training half", sha("train"), "training", 75612),
            _dataset("E3", "census-1994-holdout", "Census 1994, held out", sha("holdout"), "test", 75478),
        ],
        "checks": [_performance(), _fairness(), _drift(), _explainability()],
        "policy": {
            "ref": "E4", "name": "high-risk", "revision": 3, "digest": sha("policy"),
            "published_at": "2026-11-01T09:00:00Z",
            "judged_at": "2026-11-20T14:00:00.123456Z", "controls": _controls(),
        },
        "dossier": {"ref": "E9", "digest": sha("dossier"), "frozen_at": "2026-11-20T13:05:00Z"},
        "validations": [{
            "ref": "E10", "by": "Věra Horáková", "at": "2026-11-20T13:12:00Z",
            "rating": "satisfactory_with_findings",
            "scope": "Conceptual soundness, data, outcome analysis by sex and race.",
            "conclusion": "The model ranks well and treats both sexes alike within the limit.",
            "limitations": "Nothing is known about applicants under 18 → excluded from the use.",
            "findings": ["E18"],
        }],
        "findings": [{
            "ref": "E18", "title": "Race groups are too small to judge", "severity": "medium",
            "state": "open", "owner": "Jürgen Weiß", "opened_at": "2026-11-20T13:12:00Z",
            "due": "2027-02-20T23:59:59.999999Z", "closed_at": None,
        }],
        "signatures": [
            _signature("E11", "Věra Horáková", "validator", "review", 20),
            _signature("E12", "Ruth Feld", "risk_officer", "approval", 24),
        ],
        "approvals": [{
            "ref": "E13", "use": "default", "environment": "production", "conditional": False,
            "revision": 2, "policy_revision": 3, "granted_at": "2026-11-20T13:24:05.000250Z",
            "valid_until": "2027-11-20T13:24:05.000250Z", "conditions": [], "in_force": True, "ended": "",
        }],
        "waivers": [], "suspensions": [], "incidents": [], "breaches": [],
        "gate_decisions": [event("E15", "allow", detail="standing approved, mode enforce, verdict PASSED")],
        "deployments": [event("E14", "champion", open=True)],
        "monitors": [{
            "ref": "E17", "name": "fairness-by-sex", "kind": "fairness", "environment": "production",
            "watched": [{
                "limit": "at most 0.100", "metric": "equal_opportunity_difference", "slice": {"sex": "*"},
                "value": 0.1, "unit": "rate", "observations": [
                    {"ref": "E19", "batch": "1995-01", "window_end": "1995-01-31T23:59:59Z", "value": 0.0312,
                     "lower": -0.0211, "upper": 0.0835, "n": 511, "undefined": ""},
                    {"ref": "E19", "batch": "1995-02", "window_end": "1995-02-28T23:59:59Z", "value": None,
                     "lower": None, "upper": None, "n": 8, "undefined": "insufficient"},
                ],
            }],
            "last_run_at": None, "open_breaches": 0,
        }],
        "standing": {"environment": "production", "state": "approved", "reason": "approved until 2027-11-20"},
        "changes": [
            {"at": f"2026-11-20T12:{k:02d}:10.250000Z", "what": what, "by": by, "entry": ENTRY.format(128 + k)}
            for k, (what, by) in enumerate(
                [("version registered", "pipeline"), ("evidence added", "Ada Okafor"),
                 ("check run succeeded", "the service"), ("review submitted", "Ada Okafor"),
                 ("signature refused: the author cannot sign", "Ada Okafor"),
                 ("signature given", "Věra Horáková"), ("approval granted", "Ruth Feld")], 1)
        ],
        "evidence": _evidence(),
        "left_out": {"changes": 0, "gate_decisions": 3},
        "log": {
            "ref": "E16", "origin": "countersign.example/log", "size": 412,
            "root": "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=",
            "checkpoint": "countersign.example/log\n412\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
            "— countersign.example/log Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n",
        },
    }  # fmt: skip
    return copy.deepcopy(made)


def bundle(**changes: Any) -> ReportBundle:
    """The bundle of `facts()`, with top-level fields replaced by `changes`."""
    changed: Any = {**facts(), **changes}
    return {**changed, "summary": summarise(changed)}


def bundle_bytes(**changes: Any) -> bytes:
    return dumps(bundle(**changes))


PROOF = "c2sp.org/tlog-proof@v1\nindex 411\n\ncountersign.example/log\n412\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
