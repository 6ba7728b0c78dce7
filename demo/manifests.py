"""The manifests that the story's ML engineer writes for her two versions."""

import json
import platform
from collections.abc import Mapping
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from demo.data import LABEL, MadeFile
from demo.train import CATEGORICAL, NUMERIC, TrainedModel

MODEL = "income-screening"
LICENCE = "CC BY 4.0"
SOURCE = "UCI Machine Learning Repository, Census-Income (KDD): Current Population Survey 1994-1995"


def write(
    target: Path,
    model: TrainedModel,
    files: Mapping[str, MadeFile],
    *,
    label: str,
    description: str,
    commit: str,
    parent: int | None,
    claims: Mapping[str, float],
) -> Path:
    """Write one manifest as TOML and return its path."""
    document: dict[str, Any] = {
        "model": {
            "name": MODEL,
            "title": "Income screening for loan pre-qualification",
            "kind": "machine_learned",
            "description": "Estimates whether a person's income exceeds 50,000 dollars a year.",
            "portfolio": "consumer-credit",
            "legal_entity": "fjordbank",
        },
        "columns": {
            "label": LABEL,
            "positive": True,
            "sensitive": ["sex", "race"],
            "features": [*NUMERIC, *CATEGORICAL],
            "categorical": list(CATEGORICAL),
        },
        "use": _use(),
        "version": {
            "label": label,
            "description": description,
            "artifact": str(model.path),
            "format": "xgboost_json",
            "author": "ada",
            "code_commit": commit,
            "input_spec": str(model.input_spec_path),
            "parameters": model.parameters,
            "environment": _environment(),
        }
        | ({"parent": parent} if parent else {}),
        "stakeholders": [
            {"name": "Head of Consumer Lending", "interest": "Owns the lending decision that the estimate feeds"},
            {"name": "Data Protection Officer", "interest": "Lawful basis and rights of applicants"},
        ],
        "claims": [
            {"metric": name, "value": claims[name], "dataset": "census-validation-1994"}
            for name in ("accuracy", "selection_rate")
        ],
        "datasets": _datasets(files),
        "checks": checks(),
    }  # fmt: skip
    path = target / f"{model.path.stem}.toml"
    path.write_text(_toml(document))
    return path


def checks() -> list[dict[str, Any]]:
    """The five checks that a version gets before it is submitted."""
    validation, reference = "census-validation-1994", "census-train-1994"
    return [
        {"kind": "data_quality", "dataset": validation, "reference": reference},
        {"kind": "performance", "dataset": validation},
        {"kind": "fairness", "dataset": validation},
        {"kind": "drift", "dataset": "census-1995", "reference": validation},
        {"kind": "explainability", "dataset": validation},
    ]


def _use() -> dict[str, Any]:
    return {
        "purpose": "Tell loan applicants before a full application whether they are likely to qualify.",
        "excluded_uses": [
            "A final decision on credit",
            "Employment, insurance or housing decisions",
            "People under 18",
        ],
        "success_criteria": [
            "Accuracy of at least 0.92 on held-out people",
            "People who earn over 50,000 are recognised about equally often whatever their sex",
        ],
        "affected_people": "Adults who ask for pre-qualification in the bank's web shop",
        "operator_role": "deployer",
        "exposure": "About 40,000 requests a year",
        "decision_rule": {"threshold": 0.5, "positive_outcome": "invited to apply"},
        "tier": 1,
        "tier_reason": "Access to credit: high risk under Annex III, point 5(b), of the EU AI Act",
    }


def _datasets(files: Mapping[str, MadeFile]) -> list[dict[str, Any]]:
    common = {"source": SOURCE, "licence": LICENCE, "contains_personal_data": False}
    named = (
        (
            "census-train-1994",
            "train_1994",
            "training",
            "Census 1994, adults, the publisher's training part",
        ),
        (
            "census-validation-1994",
            "validation_1994",
            "test",
            "Census 1994, adults, the publisher's test part",
        ),
        ("census-1995", "production_1995", "production", "Census 1995, adults"),
    )
    return [
        {"name": name, "title": title, "file": str(files[stem].path), "purpose": purpose} | common
        for name, stem, purpose, title in named
    ]  # fmt: skip


def _environment() -> dict[str, str]:
    libraries = ("xgboost-cpu", "fairlearn", "scikit-learn", "numpy")
    return {"python": platform.python_version()} | {name: installed(name) for name in libraries}


def _toml(document: Mapping[str, Any]) -> str:
    """A small TOML writer: tables, lists of tables, inline values. JSON's strings are TOML's too."""
    lines: list[str] = []
    for name, value in document.items():
        tables = value if isinstance(value, list) else [value]
        for table in tables:
            lines.append(f"\n[[{name}]]" if isinstance(value, list) else f"\n[{name}]")
            lines += [f"{json.dumps(key)} = {_inline(item)}" for key, item in table.items()]
    return "\n".join(lines).lstrip() + "\n"


def _inline(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(k)} = {_inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_inline(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False)
