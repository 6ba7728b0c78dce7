"""Kinds of models, as data: what must be stated before a version of the kind can be submitted, which
checks can be run on it, and what the gate compares when it asks "is it this one?".

`facts` are dotted names into the document of `registry.selectors.version_facts`; `[]` stands for every
item of a list, which then may not be empty. A fact that is absent, null or empty is missing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Pin = Literal["artifact", "configuration", "none"]

_USE = ("uses[].purpose", "uses[].affected_people", "uses[].tier")
_TRAINED = (
    "version.artifact.digest",
    "version.code_commit",
    "version.parameters",
    "version.environment",
    "datasets[].digest",
)
_QUANTITATIVE = ("performance", "fairness", "drift", "data_quality", "oversight")


@dataclass(frozen=True)
class ModelKind:
    """`pin`: the gate compares the digest of the artifact, or of the configuration that stands for it
    (a prompt, a rule set, a vendor's version and settings), or nothing is deployed at all."""

    name: str
    label: str
    description: str
    facts: tuple[str, ...]
    checks: tuple[str, ...]
    pin: Pin
    review_date_needed: bool = False


KINDS: dict[str, ModelKind] = {
    kind.name: kind
    for kind in (
        ModelKind(
            "machine_learned",
            "Machine learned",
            "Parameters fitted to data by a learning algorithm.",
            (*_USE, *_TRAINED),
            (*_QUANTITATIVE, "explainability", "robustness"),
            "artifact",
        ),
        ModelKind(
            "statistical",
            "Statistical",
            "A model of stated form whose few parameters are estimated from data.",
            (*_USE, *_TRAINED),
            (*_QUANTITATIVE, "explainability", "robustness"),
            "artifact",
        ),
        ModelKind(
            "expert_rules",
            "Expert rules",
            "Rules or a score card that people wrote.",
            (*_USE, "version.artifact.digest", "version.code_commit", "version.description"),
            _QUANTITATIVE,
            "configuration",
        ),
        ModelKind(
            "vendor",
            "Vendor",
            "Bought or rented; its inside is not ours to see.",
            (*_USE, "version.artifact.digest", "version.description", "evidence[].digest"),
            _QUANTITATIVE,
            "configuration",
        ),
        ModelKind(
            "generative",
            "Generative",
            "Writes, draws or speaks: a general-purpose model with prompts, tools and guards around it.",
            (*_USE, "version.artifact.digest", "version.parameters", "evidence[].digest"),
            ("performance", "data_quality", "oversight"),
            "configuration",
        ),
        ModelKind(
            "tool",
            "Tool",
            "Deterministic calculation whose formula is stated; no parameters are estimated.",
            (*_USE, "version.artifact.digest", "version.code_commit"),
            ("data_quality",),
            "artifact",
        ),
        ModelKind(
            "not_a_model",
            "Not a model",
            "Somebody decided, and signed, that this is none: with a reason and a date of review.",
            ("model.description", "version.description"),
            (),
            "none",
            review_date_needed=True,
        ),
    )
}


def missing_facts(kind: str, facts: Mapping[str, Any]) -> list[str]:
    """The facts that a kind requires and the document does not state, in the kind's order."""
    return [path for path in KINDS[kind].facts if not _stated(facts, path.split("."))]


def _stated(value: Any, path: list[str]) -> bool:
    if not path:
        # Zero and false are statements; nothing at all, or an empty one, is not.
        return value is not None and value not in ("", [], {})
    name, rest = path[0], path[1:]
    if not isinstance(value, Mapping):
        return False
    if name.endswith("[]"):
        items = value.get(name[:-2])
        return isinstance(items, list) and bool(items) and all(_stated(one, rest) for one in items)
    return _stated(value.get(name), rest)
