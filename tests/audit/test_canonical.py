"""The leaves' canonical JSON against the public vectors of RFC 8785."""

import enum
import json
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from kernel import canonical
from tests.audit.vectors import files, needs_vectors


@needs_vectors
@pytest.mark.parametrize(
    "path", files("jcs-cyberphone/testdata/input/*.json"), ids=lambda path: path.stem
)
def test_jcs_vectors(path: Path) -> None:
    expected = path.parents[1] / "output" / path.name
    assert canonical.dumps(json.loads(path.read_text())) == expected.read_bytes()


class Word(enum.StrEnum):
    A = "a"


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False) | st.just(Word.A),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner),
    max_leaves=12,
)  # fmt: skip


@given(_VALUES)
def test_both_ways_of_writing_write_the_same(value: object) -> None:
    assert canonical.dumps(value) == rfc8785.dumps(value)


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), 2**53, -(2**53), {1: 2}, {"a": {3}}, "\ud800", {"\ud800": 1}]
)  # fmt: skip
def test_what_has_no_form_is_refused(value: object) -> None:
    with pytest.raises(canonical.NotCanonical):
        canonical.dumps(value)
    with pytest.raises(canonical.NotCanonical):
        canonical.dumps([{"k": value}])
