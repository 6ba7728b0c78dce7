"""What follows from a bundle's facts: the word on page one, concerns, limitations, what is missing.

Pure and total, so that the same facts always give the same words. The word speaks of what the
evidence on record supports. It is never a finding of law.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from reports.bundle_schema import Check, Event, Facts, Statement, Summary, Word
from reports.numbers import figure, listing

SMALL_GROUP: Final = 30
CONCERNS: Final = 3

_SUPPORTED: Final = frozenset({"approved"})
_CONDITIONAL: Final = frozenset({"conditional", "grandfathered"})


def summarise(facts: Facts) -> Summary:
    """Conclude from `facts`. All lists keep the order of the facts, most pressing kind first."""
    word, sentence = _word(facts)
    return {
        "word": word,
        "sentence": sentence,
        "concerns": list(_concerns(facts))[:CONCERNS],
        "limitations": list(_limitations(facts)),
        "not_stated": list(_not_stated(facts)),
    }


def _word(facts: Facts) -> tuple[Word, str]:
    """The standing decides; blocking controls and open breaches can only lower the word."""
    standing = facts["standing"]
    place = f"use in {standing['environment']}" if standing["environment"] else "use"
    said = f"its standing for {place} is {standing['state'].replace('_', ' ')}"
    failed = [
        c["control"]
        for c in _controls(facts, "block")
        if c["verdict"] != "pass" and not c["waiver"]
    ]
    waived = [c["control"] for c in _controls(facts, "block") if c["waiver"]]
    warned = [c["control"] for c in _controls(facts, "warn") if c["verdict"] != "pass"]
    opened = [e for e in (*facts["breaches"], *facts["suspensions"]) if e["open"]]
    if standing["state"] not in _SUPPORTED | _CONDITIONAL:
        return (
            "not supported",
            f"At the cut-off {said}. {_sentence(standing['reason'] or 'no reason is recorded')}",
        )
    if not any(_controls(facts, "block")):
        return "not supported", f"At the cut-off {said}, but no blocking control was judged."
    if failed:
        return "not supported", (
            f"At the cut-off {said}, but the blocking control{'s' * (len(failed) > 1)} "
            f"{listing(failed)} did not pass on the evidence on record."
        )
    if opened:
        return "not supported", (
            f"At the cut-off {said}, but {len(opened)} breach or suspension was still open."
        )
    if standing["state"] in _CONDITIONAL or waived:
        why = (
            f"with {listing(waived)} waived" if waived else standing["reason"] or "with conditions"
        )
        return "conditional", f"At the cut-off {said}, {why}."
    tail = (
        f"; {listing(warned)} {'are' if len(warned) > 1 else 'is'} reported with a warning"
        if warned
        else ""
    )
    return "supported", (
        f"At the cut-off {said}, and every blocking control passed on the evidence on record{tail}."
    )


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."


def _controls(facts: Facts, mode: str) -> Iterator[Mapping[str, Any]]:
    policy = facts["policy"]
    yield from (c for c in (policy["controls"] if policy else []) if c["mode"] == mode)


def _concerns(facts: Facts) -> Iterator[Statement]:
    for mode in ("block", "warn"):
        for control in _controls(facts, mode):
            if control["verdict"] != "pass":
                covered = " It is waived." if control["waiver"] else ""
                yield {
                    "text": f"{control['control']}: {control['verdict']}. {control['reason']}{covered}",
                    "refs": _unique([f["ref"] for f in control["figures"]] + [control["waiver"]]),
                }
    kinds: tuple[tuple[str, list[Event]], ...] = (
        ("Open breach", facts["breaches"]),
        ("Open suspension", facts["suspensions"]),
        ("Open incident", facts["incidents"]),
    )
    for title, events in kinds:
        for event in events:
            if event["open"]:
                yield {
                    "text": f"{title}: {event['what']}. {event['detail']}",
                    "refs": [event["ref"]],
                }
    for finding in facts["findings"]:
        if finding["closed_at"] is None:
            yield {
                "text": f"Open finding ({finding['severity']}): {finding['title']}.",
                "refs": [finding["ref"]],
            }


def _unique(refs: list[str]) -> list[str]:
    return [ref for ref in dict.fromkeys(refs) if ref]


def _limitations(facts: Facts) -> Iterator[Statement]:
    """What this report cannot show, from the facts themselves."""
    if facts["policy"] is None:
        yield {"text": "No policy was in force, so no control was judged.", "refs": []}
    done = {c["kind"] for c in facts["checks"] if c["state"] == "succeeded"}
    for kind in ("performance", "fairness", "drift", "explainability", "data_quality"):
        if kind not in done:
            yield {
                "text": f"No {kind.replace('_', ' ')} check of this version has succeeded.",
                "refs": [],
            }
    for check in facts["checks"]:
        yield from _limits_of(check)
    claimed = [c for c in facts["checks"] if c["grade"] == "claimed"]
    if claimed or facts["version"]["claims"]:
        yield {
            "text": "Figures of grade claimed were sent by a client and not recomputed here.",
            "refs": _unique([facts["version"]["ref"], *(c["ref"] for c in claimed)]),
        }
    if facts["version"]["artifact"]["size"] is None:
        yield {
            "text": "The artifact was registered by digest alone; its bytes were never held here.",
            "refs": [facts["version"]["ref"]],
        }
    for name, count in (
        ("older lines of the change history", facts["left_out"]["changes"]),
        ("older gate decisions", facts["left_out"]["gate_decisions"]),
    ):
        if count:
            yield {
                "text": f"{count} {name} are not listed here; the audit log has them.",
                "refs": [],
            }
    if facts["log"] is None:
        yield {"text": "No log checkpoint was available when the facts were frozen.", "refs": []}


def _limits_of(check: Check) -> Iterator[Statement]:
    name, refs = check["kind"].replace("_", " "), [check["ref"]]
    if check["state"] in ("failed", "cancelled"):
        why = f": {check['error']}" if check["error"] else ""
        yield {"text": f"A {name} check {check['state']}{why}.", "refs": refs}
    undefined = [m for m in check["measurements"] if m["value"] is None]
    if undefined:
        yield {
            "text": (
                f"{name.capitalize()}: {len(undefined)} of {len(check['measurements'])} "
                "measurements are undefined; each is printed with its reason, none counts as zero."
            ),
            "refs": refs,
        }
    small = [
        m
        for m in check["measurements"]
        if m["value"] is not None and m["n"] is not None and m["n"] < SMALL_GROUP
    ]
    if small:
        yield {
            "text": (
                f"{name.capitalize()}: {len(small)} measurements rest on fewer than "
                f"{figure(SMALL_GROUP, 'count')} cases."
            ),
            "refs": refs,
        }


def _not_stated(facts: Facts) -> Iterator[str]:
    model, use, version = facts["model"], facts["use"], facts["version"]
    stated: list[tuple[str, object]] = [
        ("description of the model", model["description"]),
        ("stakeholders", model["stakeholders"]),
        ("purpose of the use", use["purpose"]),
        ("excluded uses", use["excluded_uses"]),
        ("success criteria", use["success_criteria"]),
        ("affected people", use["affected_people"]),
        ("decision rule", use["decision_rule"]),
        ("exposure", use["exposure"]),
        ("risk tier", use["tier"]),
        ("description of the version", version["description"]),
        ("code repository", version["code_repository"]),
        ("code commit", version["code_commit"]),
        ("training parameters", version["parameters"]),
        ("training environment", version["environment"]),
        ("datasets", facts["datasets"]),
        ("dossier", facts["dossier"]),
        ("validation", facts["validations"]),
        ("signatures", facts["signatures"]),
        ("monitors", facts["monitors"]),
    ]
    yield from (name for name, value in stated if not value)
    for dataset in facts["datasets"]:
        for name in ("source", "licence"):
            if not dataset[name]:
                yield f"{name} of the dataset {dataset['name']}"
