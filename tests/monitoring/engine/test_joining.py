"""The batches of a window as one file: their rows in order, columns fitted, or an error that names them."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kernel.errors import Invalid, Unprocessable
from monitoring.engine.joining import join
from monitoring.engine.sources import DataFile
from tests.monitoring.engine.making import sha256


def parquet(path, **columns):
    pq.write_table(pa.table(columns), path)
    return DataFile(path, sha256(path))


def csv(path, text):
    path.write_text(text)
    return DataFile(path, sha256(path), "csv")


def test_rows_stand_in_the_order_of_the_files_and_a_column_that_one_lacks_is_missing(tmp_path):
    files = [
        parquet(tmp_path / "a.parquet", x=[1, 2], sex=["F", "M"]),
        csv(tmp_path / "b.csv", "x,y\n3.5,7\n"),
    ]
    joined = join(files, tmp_path / "window.parquet", tmp_path)
    rows = pq.read_table(joined.path).to_pylist()
    assert [row["x"] for row in rows] == [1, 2, 3.5]
    assert [row["sex"] for row in rows] == ["F", "M", None]
    assert rows[0]["y"] is None
    again = join(files, tmp_path / "again.parquet", tmp_path)
    assert again.digest == joined.digest == sha256(joined.path)


def test_types_that_do_not_fit_are_told(tmp_path):
    files = [
        parquet(tmp_path / "a.parquet", x=[1, 2]),
        parquet(tmp_path / "b.parquet", x=["one", "two"]),
    ]
    with pytest.raises(Invalid) as caught:
        join(files, tmp_path / "window.parquet", tmp_path)
    assert caught.value.field == "batches"


def test_bytes_that_are_not_those_of_the_batch_are_refused(tmp_path):
    first = parquet(tmp_path / "a.parquet", x=[1])
    with pytest.raises(Unprocessable) as caught:
        join([first, DataFile(first.path, "0" * 64)], tmp_path / "w.parquet", tmp_path)
    assert "batches[1]" in caught.value.field
