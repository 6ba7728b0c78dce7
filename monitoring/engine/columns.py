"""Profiles and comparisons of a model's columns, features and answers alike.

Each column is read once, and few columns at a time are held.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from kernel.errors import Invalid
from monitoring.engine import column_profiles, comparing, cube, profiles, sketching
from monitoring.engine.column_profiles import ColumnProfile, NumericProfile
from monitoring.engine.comparing import Comparison
from monitoring.engine.mapping import ColumnMapping
from monitoring.engine.profiles import Categories, Numbers
from monitoring.engine.sources import Source

COMPARED_AT_ONCE = 2
ANSWERS = ("score", "prediction", "label")
Profiles = Mapping[str, ColumnProfile]


def profiles_of(source: Source, mapping: ColumnMapping) -> dict[str, Any]:
    """A profile of each feature, a numeric one over edges of its own, as JSON."""
    return {
        name: _document(column, column_profiles.profile_edges(column))
        if isinstance(column, Numbers)
        else _document(column, [])
        for name, column in _features(source, mapping)
    }


def gather(
    reference: Source, current: Source, mapping: ColumnMapping, *, exact: bool = True
) -> tuple[dict[str, Any], list[Comparison]]:
    """Profile each feature of both samples, over the reference's edges, and compare them.

    Then score, prediction and label, as far as both samples have them. The profiles are
    `{"reference": {feature: profile}, "current": ..., "answers": {"reference": ..., "current": ...}}`.
    Unless `exact`, numbers are counted into bins in one pass and not sorted (see `sketching`).
    """
    found: dict[str, Any] = {"reference": {}, "current": {}}
    answers: dict[str, Any] = {"reference": {}, "current": {}}
    numeric = [name for name in mapping.features if not _is_categorical(reference, mapping, name)]
    known = {} if exact else sketching.sketched(reference, current, numeric)
    for name, (before, after, _) in known.items():
        found["reference"][name] = {**before.to_json(), "distinct": None}
        found["current"][name] = {**after.to_json(), "distinct": None}
    done = {name: one for name, (_, _, one) in known.items()}
    # A column is compared while the next is read; a few are held at a time.
    with ThreadPoolExecutor(COMPARED_AT_ONCE) as pool:
        waiting: deque[tuple[str, Future[Comparison]]] = deque()
        for name in mapping.features:
            if name in known:
                continue
            categorical = name not in numeric
            pair = tuple(_read(one, name, categorical) for one in (reference, current))
            if len(waiting) == COMPARED_AT_ONCE:
                first, future = waiting.popleft()
                done[first] = future.result()
            waiting.append((name, pool.submit(_pair, name, pair, found)))
        done.update((name, future.result()) for name, future in waiting)
    compared = [done[name] for name in mapping.features]
    for name in ANSWERS:
        sources = [_answer(one, mapping, name) for one in (reference, current)]
        if sources[0] is not None and sources[1] is not None:
            pair = tuple(_read(one, name, name != "score") for one in sources if one is not None)
            compared.append(_pair(name, pair, answers))
    return {**found, "answers": answers}, compared


def gather_against(
    features: Profiles, answers: Profiles, current: Source, mapping: ColumnMapping
) -> tuple[dict[str, Any], list[Comparison], list[str]]:
    """Profile a sample over the edges of a reference's profiles, and compare with these.

    Returns the profiles as `gather` does, the comparisons, and the columns that could not be
    compared because the reference has too many different values to name them.

    Raises:
        Invalid: naming a feature that the reference has no profile of, or one of another kind.
    """
    found: dict[str, Any] = {"reference": {}, "current": {}}
    told: dict[str, Any] = {"reference": {}, "current": {}}
    compared, left = [], []
    for index, name in enumerate(mapping.features):
        if name not in features:
            raise Invalid(
                f"the reference profile does not hold {name!r}", field=f"mapping.features[{index}]"
            )
        column = _read(current, name, _is_categorical(current, mapping, name))
        one = _against(name, features[name], column, found)
        compared += [one] if one else []
        left += [] if one else [name]
    for name in ANSWERS:
        answer = _answer(current, mapping, name)
        if answer is not None and name in answers:
            one = _against(name, answers[name], _read(answer, name, name != "score"), told)
            compared += [one] if one else []
    return {**found, "answers": told}, compared, left


def compare_profiles(reference: Profiles, current: Profiles) -> tuple[list[Comparison], list[str]]:
    """Compare the columns that both have, and name those that cannot be."""
    compared, left = [], []
    for name, before in reference.items():
        after = current.get(name)
        one = column_profiles.compare(name, before, after) if after is not None else None
        compared += [one] if one else []
        left += [] if one else [name]
    return compared, left


def _pair(name: str, pair: tuple[Numbers | Categories, ...], found: dict[str, Any]) -> Comparison:
    before, after = pair
    edges = column_profiles.profile_edges(before) if isinstance(before, Numbers) else []
    for side, column in zip(("reference", "current"), pair, strict=True):
        found[side][name] = _document(column, edges)
    if isinstance(before, Numbers) and isinstance(after, Numbers):
        return comparing.compare_numbers(name, before, after)
    assert isinstance(before, Categories)
    assert isinstance(after, Categories)
    return comparing.compare_categories(name, before, after)


def _against(
    name: str, before: ColumnProfile, column: Numbers | Categories, found: dict[str, Any]
) -> Comparison | None:
    edges = before.edges if isinstance(before, NumericProfile) else ()
    document = _document(column, list(edges))
    found["reference"][name], found["current"][name] = before.to_json(), document
    return column_profiles.compare(name, before, column_profiles.read(document, name))


def _document(column: Numbers | Categories, edges: list[float]) -> dict[str, Any]:
    """A profile, and beside it how many different values there are, which does not add up."""
    if isinstance(column, Numbers):
        one: ColumnProfile = column_profiles.of_numbers(column, edges)
        return {**one.to_json(), "distinct": len(column.values)}
    one = column_profiles.of_categories(column)
    return {**one.to_json(), "distinct": len(column.counts)}


def _features(source: Source, mapping: ColumnMapping) -> Iterator[tuple[str, Numbers | Categories]]:
    for name in mapping.features:
        yield name, _read(source, name, _is_categorical(source, mapping, name))


def _read(source: Source, name: str, categorical: bool) -> Numbers | Categories:
    return profiles.categories(source, name) if categorical else profiles.numbers(source, name)


def _answer(source: Source, mapping: ColumnMapping, name: str) -> Source | None:
    """A source of one column alone: the score, the prediction or the label."""
    expression = {
        "score": cube.score_of,
        "prediction": cube.prediction_of,
        "label": cube.label_of,
    }[name](source, mapping)
    if expression is None:
        return None
    return replace(source, table=source.table.select(**{name: expression}))


def _is_categorical(source: Source, mapping: ColumnMapping, name: str) -> bool:
    return name in mapping.categorical or source.schema[name] != "numeric"
