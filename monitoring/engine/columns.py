"""Profiles and comparisons of a model's columns, features and answers alike."""

from dataclasses import replace
from typing import Any

from monitoring.engine import comparing, cube, profiles
from monitoring.engine.comparing import Comparison
from monitoring.engine.mapping import ColumnMapping
from monitoring.engine.sources import Source


def profiles_of(source: Source, mapping: ColumnMapping, edges: dict[str, list[float]]) -> Any:
    """A profile of each feature; numeric ones over the given edges."""
    found: dict[str, Any] = {}
    for name in mapping.features:
        if _is_categorical(source, mapping, name):
            found[name] = profiles.category_profile(profiles.categories(source, name))
        else:
            found[name] = profiles.number_profile(profiles.numbers(source, name), edges[name])
    return found


def edges_of(source: Source, mapping: ColumnMapping) -> dict[str, list[float]]:
    """Edges of the numeric features' profiles: quantiles of this source, the reference."""
    return {
        name: profiles.quantile_edges(profiles.numbers(source, name))
        for name in mapping.features
        if not _is_categorical(source, mapping, name)
    }


def gather(
    reference: Source, current: Source, mapping: ColumnMapping
) -> tuple[dict[str, Any], list[Comparison]]:
    """Profile each feature of both samples, over the reference's edges, and compare them.

    Then compare score, prediction and label as far as both samples have them. Each column is read
    once, and one column at a time is held.
    """
    found: dict[str, Any] = {"reference": {}, "current": {}}
    compared = []
    for name in mapping.features:
        if _is_categorical(reference, mapping, name):
            old, new = profiles.categories(reference, name), profiles.categories(current, name)
            found["reference"][name] = profiles.category_profile(old)
            found["current"][name] = profiles.category_profile(new)
            compared.append(comparing.compare_categories(name, old, new))
        else:
            before, after = profiles.numbers(reference, name), profiles.numbers(current, name)
            edges = profiles.quantile_edges(before)
            found["reference"][name] = profiles.number_profile(before, edges)
            found["current"][name] = profiles.number_profile(after, edges)
            compared.append(comparing.compare_numbers(name, before, after))
    return found, compared + _answers(reference, current, mapping)


def _answers(reference: Source, current: Source, mapping: ColumnMapping) -> list[Comparison]:
    expressions = {
        "score": [cube.score_of(one, mapping) for one in (reference, current)],
        "prediction": [cube.prediction_of(one, mapping) for one in (reference, current)],
        "label": [cube.label_of(one, mapping) for one in (reference, current)],
    }
    compared = []
    for name, pair in expressions.items():
        if any(expression is None for expression in pair):
            continue
        sources = [
            replace(one, table=one.table.select(**{name: expression}))
            for one, expression in zip((reference, current), pair, strict=True)
        ]
        if name == "score":
            before, after = (profiles.numbers(one, name) for one in sources)
            compared.append(comparing.compare_numbers(name, before, after))
        else:
            old, new = (profiles.categories(one, name) for one in sources)
            compared.append(comparing.compare_categories(name, old, new))
    return compared


def _is_categorical(source: Source, mapping: ColumnMapping, name: str) -> bool:
    return name in mapping.categorical or source.schema[name] != "numeric"
