"""Profiles and comparisons of a model's columns, features and answers alike.

Each column is read once, and few columns at a time are held.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kernel.errors import Invalid
from monitoring.engine import column_profiles, comparing, cube, profiles, sketching
from monitoring.engine.column_profiles import ColumnProfile, NumericProfile
from monitoring.engine.comparing import ANSWERS, Comparison
from monitoring.engine.mapping import ColumnMapping
from monitoring.engine.profiles import Categories, Numbers
from monitoring.engine.sources import ROW, Source

if TYPE_CHECKING:
    import ibis.expr.types as ir

HELD = 1_000_000
"""Values of a sample that are read at a time, unless one column has more."""
Profiles = Mapping[str, ColumnProfile]


def profiles_of(source: Source, mapping: ColumnMapping) -> dict[str, Any]:
    """A profile of each feature, a numeric one over edges of its own, as JSON."""
    found: dict[str, Any] = {}
    numeric = [name for name in mapping.features if not _is_categorical(source, mapping, name)]
    if in_bins(source):
        # The same sample twice: what is asked for is its profile.
        for name, one in sketching.sketched(source, source, numeric):
            found[name] = {**one.before.to_json(), "distinct": None}
    left = [name for name in numeric if name not in found]
    for some in _groups(left, source.rows):
        for name, column in zip(some, profiles.numbers_of(source, some), strict=True):
            found[name] = _document(column, column_profiles.profile_edges(column))
    for name in mapping.features:
        if name not in found:
            found[name] = _document(profiles.categories(source, name), [])
    return {name: found[name] for name in mapping.features}


HELD_BY_FLOATS = 2**53
"""Integers up to this size are floats without loss."""


def too_large(reference: Source, current: Source, names: Sequence[str]) -> set[str]:
    """Columns of integers, or decimals, that floats merge: some are beyond 2**53 in either sample."""
    found: set[str] = set()
    for source in (reference, current):
        wide = [name for name in names if _is_wide(source.table[name].type())]
        ends = {
            f"{end}{place}": getattr(source.table[name], end)()
            for place, name in enumerate(wide)
            for end in ("min", "max")
        }
        row = source.table.aggregate(**ends).to_pyarrow().to_pylist()[0] if wide else {}
        for place, name in enumerate(wide):
            known = [abs(row[f"{end}{place}"] or 0) for end in ("min", "max")]
            if max(known) > HELD_BY_FLOATS:
                found.add(name)
    return found


def _is_wide(kind: Any) -> bool:
    return bool(kind.is_decimal() or (kind.is_integer() and kind.nbytes == 8))


def aligned(reference: Source, current: Source, mapping: ColumnMapping) -> tuple[Source, Source]:
    """Both samples with the booleans of one that are numbers in the other as 0 and 1."""
    changed = set(retyped(reference, current, mapping))
    return _as_numbers(reference, changed), _as_numbers(current, changed)


def retyped(reference: Source, current: Source, mapping: ColumnMapping) -> list[str]:
    """Features that are booleans in one sample and numbers in the other."""
    kinds = {"boolean", "numeric"}
    return [
        name
        for name in mapping.features
        if {reference.schema.get(name), current.schema.get(name)} == kinds
    ]


def _as_numbers(source: Source, names: set[str]) -> Source:
    booleans = {name for name in names if source.schema[name] == "boolean"}
    if not booleans:
        return source
    numbers = {name: source.table[name].cast("int8") for name in sorted(booleans)}
    kinds = {**source.schema, **dict.fromkeys(booleans, "numeric")}
    return replace(source, table=source.table.mutate(**numbers), schema=kinds)


def in_bins(*sources: Source) -> bool:
    """Are there too many rows to sort a column of them in memory?"""
    return max(one.rows for one in sources) > profiles.MOST_SORTED


def gather(
    reference: Source, current: Source, mapping: ColumnMapping, *, exact: bool = True
) -> tuple[dict[str, Any], list[Comparison]]:
    """Profile each feature of both samples, over the reference's edges, and compare them.

    Then score, prediction and label, as far as both samples have them. The profiles are
    `{"reference": {feature: profile}, "current": ..., "answers": {"reference": ..., "current": ...}}`.
    Unless `exact`, or of more than `profiles.MOST_SORTED` rows, numbers are counted into bins and not
    sorted (see `sketching`).

    Raises:
        TooLarge: a column of so many rows can neither be counted into bins nor value by value.
    """
    exact = exact and not in_bins(reference, current)
    reference, current = aligned(reference, current, mapping)
    found: dict[str, Any] = {"reference": {}, "current": {}}
    answers: dict[str, Any] = {"reference": {}, "current": {}}
    numeric = [name for name in mapping.features if not _is_categorical(reference, mapping, name)]
    done = _numbers(reference, current, numeric, found, exact=exact)
    for name in mapping.features:
        if name not in done:
            done[name] = _categories(reference, current, name, found)
    imprecise = too_large(reference, current, numeric)
    compared = [replace(done[name], imprecise=name in imprecise) for name in mapping.features]
    old, new = answers_of(reference, mapping), answers_of(current, mapping)
    for name in ANSWERS:
        if name in old and name in new:
            pair = _alone(reference, name, old[name]), _alone(current, name, new[name])
            if old[name].categorical:
                one = _categories(*pair, name, answers)
            else:
                one = _numbers(*pair, [name], answers, exact=exact)[name]
            compared.append(replace(one, answer=True))
    return {**found, "answers": answers}, compared


@dataclass(frozen=True)
class Answer:
    """A model's answer, or the outcome, as an expression: a category, or a number."""

    expression: "ir.Value"
    categorical: bool


def answers_of(source: Source, mapping: ColumnMapping) -> dict[str, Answer]:
    """Those of score, prediction and label that the data have; of a regression the last two, numbers."""
    if mapping.task == "regression":
        predicted = cube.SCORE if cube.SCORE in source.table.columns else mapping.prediction
        given = {"prediction": predicted, "label": mapping.label}
        return {
            name: Answer(source.table[column].cast("float64"), False)
            for name, column in given.items()
            if column is not None
        }
    found = {
        "score": cube.score_of(source, mapping),
        "prediction": cube.prediction_of(source, mapping),
        "label": cube.label_of(source, mapping),
    }
    return {
        name: Answer(expression, name != "score")
        for name, expression in found.items()
        if expression is not None
    }


def _alone(source: Source, name: str, answer: Answer) -> Source:
    """The same rows with one column."""
    numbered = [ROW] if ROW in source.table.columns else []
    return replace(source, table=source.table.select(*numbered, **{name: answer.expression}))


def _categories(reference: Source, current: Source, name: str, found: dict[str, Any]) -> Comparison:
    before, after = (profiles.categories(one, name) for one in (reference, current))
    found["reference"][name] = _document(before, [])
    found["current"][name] = _document(after, [])
    return comparing.compare_categories(name, before, after)


def _numbers(
    reference: Source,
    current: Source,
    names: Sequence[str],
    found: dict[str, Any],
    *,
    exact: bool,
) -> dict[str, Comparison]:
    """Compare numeric columns. Few are held: some are compared while the next are read."""
    done: dict[str, Comparison] = {}
    for name, one in {} if exact else sketching.sketched(reference, current, names):
        found["reference"][name] = {**one.before.to_json(), "distinct": None}
        found["current"][name] = {**one.after.to_json(), "distinct": None}
        done[name] = one.comparison
    left = [name for name in names if name not in done]
    with ThreadPoolExecutor(1) as pool:
        waiting: Future[None] | None = None
        for some in _groups(left, max(reference.rows, current.rows)):
            sides = [profiles.numbers_of(one, some) for one in (reference, current)]
            pairs = list(zip(some, *sides, strict=True))
            del sides
            if waiting is not None:
                waiting.result()
            waiting = pool.submit(_compare, pairs, found, done)
            del pairs
        if waiting is not None:
            waiting.result()
    return done


def _compare(
    pairs: list[tuple[str, Numbers, Numbers]], found: dict[str, Any], done: dict[str, Comparison]
) -> None:
    """Compare columns one by one, and let go of each."""
    while pairs:
        name, before, after = pairs.pop(0)
        edges = column_profiles.profile_edges(before)
        found["reference"][name] = _document(before, edges)
        found["current"][name] = _document(after, edges)
        done[name] = comparing.compare_numbers(name, before, after)


def _groups(names: Sequence[str], rows: int) -> Iterator[Sequence[str]]:
    size = max(1, HELD // max(1, rows))
    for start in range(0, len(names), size):
        yield names[start : start + size]


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
    numeric = [name for name in mapping.features if not _is_categorical(current, mapping, name)]
    imprecise = too_large(current, current, numeric)
    for index, name in enumerate(mapping.features):
        if name not in features:
            raise Invalid(
                f"the reference profile does not hold {name!r}", field=f"mapping.features[{index}]"
            )
        column = _read(current, name, _is_categorical(current, mapping, name))
        one = _against(name, features[name], column, found)
        lost = name in imprecise
        compared += [replace(one, imprecise=lost)] if one else []
        left += [] if one else [name]
    for name, answer in answers_of(current, mapping).items():
        if name in answers:
            column = _read(_alone(current, name, answer), name, answer.categorical)
            one = _against(name, answers[name], column, told)
            compared += [replace(one, answer=True)] if one else []
    return {**found, "answers": told}, compared, left


def compare_profiles(
    reference: Profiles, current: Profiles, *, answers: bool = False
) -> tuple[list[Comparison], list[str]]:
    """Compare the columns that both have, features or `answers`, and name those that cannot be."""
    compared, left = [], []
    for name, before in reference.items():
        after = current.get(name)
        one = column_profiles.compare(name, before, after) if after is not None else None
        compared += [replace(one, answer=answers)] if one else []
        left += [] if one else [name]
    return compared, left


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


def _read(source: Source, name: str, categorical: bool) -> Numbers | Categories:
    return profiles.categories(source, name) if categorical else profiles.numbers(source, name)


def _is_categorical(source: Source, mapping: ColumnMapping, name: str) -> bool:
    return name in mapping.categorical or source.schema[name] != "numeric"
