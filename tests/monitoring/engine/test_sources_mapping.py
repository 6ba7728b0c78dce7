"""A mapping is declared once and held against each dataset: what does not fit is named by its field."""

import datetime

import pytest

from kernel.errors import Invalid
from tests.monitoring.engine.making import mapping, source_of, write


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mapping")
    path = write(
        folder / "data.parquet",
        {
            "y": [1, 0],
            "p": [1, 1],
            "s": [0.5, 0.6],
            "when": [datetime.date(2024, 1, 1)] * 2,
            "sex": ["f", "m"],
            "x": [1.5, 2.5],
            "many": [[1], [2]],
            "yes": [True, False],
        },
    )
    source = source_of(path, folder)
    found = source.schema
    source.close()
    return found


FITS = {"label": "y", "positive": 1, "prediction": "p", "score": "s", "time": "when"}


@pytest.mark.parametrize(
    ("change", "wrong"),
    [
        ({"label": "z"}, {"mapping.label": "no column 'z'"}),
        ({"label": "sex"}, {"mapping.label": "never equals 1"}),
        ({"score": "sex"}, {"mapping.score": "is text, expected numeric"}),
        ({"time": "yes"}, {"mapping.time": "is boolean, expected time"}),
        ({"time": "many"}, {"mapping.time": "is other"}),
        ({"sensitive": ["gender"]}, {"mapping.sensitive[0]": "no column 'gender'"}),
        ({"sensitive": ["many"]}, {"mapping.sensitive[0]": "is other"}),
        ({"features": ["x", "sex"]}, {"mapping.features[1]": "is text, expected numeric"}),
        (
            {"features": ["many"], "categorical": ["many"]},
            {"mapping.features[0]": "is other, expected text"},
        ),
        ({"prediction": "y"}, {"mapping.prediction": "'y' is the label already"}),
        ({"score": "p"}, {"mapping.score": "'p' is the prediction already"}),
        ({"time": "s"}, {"mapping.time": "'s' is the score already"}),
        ({"features": ["x", "y"]}, {"mapping.features[1]": "'y' is the label"}),
        ({"features": ["s"]}, {"mapping.features[0]": "'s' is the score"}),
        ({"sensitive": ["p"]}, {"mapping.sensitive[0]": "'p' is the prediction"}),
        (
            {"label": "z", "score": "sex", "features": ["gone"]},
            {"mapping.label": "", "mapping.score": "", "mapping.features[0]": "'gone'"},
        ),
    ],
)
def test_each_field_that_does_not_fit_is_named(schema, change, wrong):
    with pytest.raises(Invalid) as caught:
        mapping(**{**FITS, **change}).check(schema)
    assert list(caught.value.fields) == list(wrong)
    for field, words in wrong.items():
        assert words in caught.value.fields[field]


@pytest.mark.parametrize(
    "change",
    [{}, {"sensitive": ["sex"], "features": ["x", "sex"], "categorical": ["sex"]}, {"time": "x"}],
)
def test_what_fits_is_taken(schema, change):
    mapping(**{**FITS, **change}).check(schema)
