"""Data files that somebody made to do harm: each is refused with a reason that names the field and
quotes nothing of the file, no code runs, and memory has a bound."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kernel.errors import Invalid, Unprocessable
from monitoring.engine import cube
from monitoring.engine.sources import EngineLimits, Filter
from monitoring.engine.sources.files import connect_locked
from registry import datafiles, schemas
from tests.monitoring.engine.making import mapping, source_of, write

SECRET = "s3cr3t-cell"
MIB = 1024**2
LIMIT = 64
"""MiB that DuckDB may use in the child; what else it takes is Python, Arrow and DuckDB's code."""
MOST_RSS = 500

CHILD = """
import json, resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
from monitoring.engine import cube
from monitoring.engine.mapping import ColumnMapping
from monitoring.engine.sources import DataFile, EngineLimits, digest_of, open_source, said
folder, limit = Path(sys.argv[1]), int(sys.argv[2])
answers = {}
# What the process that this one was forked from had is not counted.
Path("/proc/self/clear_refs").write_text("5")
for path in sorted(folder.glob("*.*")):
    data = DataFile(path, digest_of(path), path.suffix[1:])
    answers[path.name] = None
    try:
        with said(data):
            source = open_source(data, folder / "work", limits=EngineLimits(memory=limit, threads=1))
            first = next(iter(source.schema))
            cube.contingency(source, ColumnMapping.from_json({"label": "y", "sensitive": [first]}))
            source.close()
    except Exception as error:
        fields = getattr(error, "fields", {})
        answers[path.name] = [type(error).__name__, fields, str(error)]
lines = Path("/proc/self/status").read_text().splitlines()
peak = next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmHWM"))
print(json.dumps({"answers": answers, "peak": peak}))
"""

REFUSED = {
    "01-empty.parquet": "not a parquet file",
    "02-truncated.parquet": "cut off",
    "03-magic.parquet": "not a parquet file",
    "04-footer-too-long.parquet": "does not fit",
    "05-footer-is-noise.parquet": "footer is malformed",
    "06-rows-that-are-not-there.parquet": "cannot be read as declared",
    "07-rows-without-end.parquet": "more rows than any file",
    "08-pages-are-noise.parquet": "cannot be read as declared",
    "09-nested-2000-deep.parquet": "footer is malformed",
    "10-columns-in-a-long-footer.parquet": "footer",
    "11-columns.parquet": "12000 columns",
    "12-name-twice.parquet": "there twice",
    "13-bomb.parquet": "more memory",
    "14-pickle.parquet": "not a parquet file",
    "20-empty.csv": "empty",
    "21-uneven.csv": "cannot be read as declared",
    "22-uneven-at-the-end.csv": "cannot be read as declared",
    "23-open-quote.csv": "cannot be read as declared",
    "24-null.csv": "null characters",
    "25-latin-1.csv": "UTF-8",
    "26-utf-16.csv": "UTF-8",
    "27-columns.csv": "12000 columns",
    "28-one-field.csv": "cannot be read as declared",
    "29-one-line.csv": "longer than",
    "30-name-twice.csv": "there twice",
    "31-parquet-called.csv": "",
}
TAKEN = ("90-quotes.csv", "91-formulas.csv")


def varint(number: int) -> bytes:
    """As thrift's compact protocol writes a positive integer."""
    number, out = number * 2, b""
    while number > 127:
        out += bytes([number & 127 | 128])
        number >>= 7
    return out + bytes([number])


def framed(body: bytes, footer: bytes) -> bytes:
    return body + footer + len(footer).to_bytes(4, "little") + b"PAR1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "work").mkdir()
    parquet_files(folder)
    csv_files(folder)
    return folder


def parquet_files(folder: Path) -> None:
    good = folder / "good"
    table = pa.table({"g": [SECRET] * 1_000, "y": [True, False] * 500})
    pq.write_table(table, good, write_statistics=False, store_schema=False)
    data = good.read_bytes()
    good.unlink()
    length = int.from_bytes(data[-8:-4], "little")
    body, footer = data[: -8 - length], data[-8 - length : -8]
    noise = bytearray(data)
    noise[8:90] = b"\xff" * 82
    deep: pa.DataType = pa.int32()
    for _ in range(2_000):
        deep = pa.list_(deep)
    files = {
        "01-empty": b"",
        "02-truncated": data[: len(data) // 2],
        "03-magic": b"PAR2" + data[4:],
        "04-footer-too-long": data[:-8] + (2**31 - 1).to_bytes(4, "little") + b"PAR1",
        "05-footer-is-noise": framed(body, b"\x19" * length),
        "06-rows-that-are-not-there": framed(body, footer.replace(varint(1_000), varint(9_000))),
        "07-rows-without-end": framed(body, footer.replace(varint(1_000), varint(10**15))),
        "08-pages-are-noise": bytes(noise),
        "10-columns-in-a-long-footer": framed(body, b"\x15" * (datafiles.LONGEST_FOOTER + 1)),
        "14-pickle": b"\x80\x04\x95cos\nsystem\n(S'touch pwned'\ntR.",
    }
    for name, content in files.items():
        (folder / f"{name}.parquet").write_bytes(content)
    pq.write_table(pa.table({"n": pa.array([None], deep)}), folder / "09-nested-2000-deep.parquet")
    wide = pa.table({f"c{place}": [1] for place in range(12_000)})
    pq.write_table(wide, folder / "11-columns.parquet", write_statistics=False, store_schema=False)
    pq.write_table(pa.table({"y": [True], "Y": [False]}), folder / "12-name-twice.parquet")
    bomb = pa.table({"g": ["x" * (2 * LIMIT * MIB)], "y": [True]})
    pq.write_table(bomb, folder / "13-bomb.parquet", compression="zstd", use_dictionary=False)
    assert (folder / "13-bomb.parquet").stat().st_size < MIB


def csv_files(folder: Path) -> None:
    wide = ",".join(f"c{place}" for place in range(12_000))
    rows = f"{SECRET},true\n" * 50_000
    files = {
        "20-empty": b"",
        "21-uneven": f"g,y\n{SECRET},true\n{SECRET}\n1,true,{SECRET}\n".encode(),
        "22-uneven-at-the-end": f"g,y\n{rows}{SECRET},true,more\n".encode(),
        "23-open-quote": f'g,y\n"{SECRET},true\n{rows}'.encode(),
        "24-null": f"g,y\n{SECRET}\0,true\n".encode(),
        "25-latin-1": "g,y\nMünchen,true\n".encode("latin-1"),
        "26-utf-16": "g,y\na,true\n".encode("utf-16"),
        "27-columns": f"{wide}\n".encode(),
        "28-one-field": b'g,y\n"' + b"x\n" * (4 * MIB) + b'",true\n',
        "29-one-line": b"g" * (3 * MIB),
        "30-name-twice": b"y,g,y\ntrue,1,false\n",
        "31-parquet-called": (folder / "02-truncated.parquet").read_bytes(),
        "90-quotes": b'g,y\n"a ""b"", c",true\n"two\nlines",false\n',
        "91-formulas": b"g,y\n=1+1,true\n\"=cmd|' /C calc'!A0\",false\n",
    }
    for name, content in files.items():
        (folder / f"{name}.csv").write_bytes(content)


@pytest.fixture(scope="module")
def told(folder) -> dict:
    """What the engine says of each, in a process of its own."""
    if sys.platform != "linux":
        pytest.skip("memory is measured as Linux tells it")
    child = subprocess.run(
        [sys.executable, "-c", CHILD, str(folder), str(LIMIT)],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
        cwd=folder / "work",
        check=False,
    )
    assert child.returncode == 0, child.stderr[-2_000:]
    answer: dict = json.loads(child.stdout)
    return answer


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_file_is_refused_by_its_field(told, name):
    kind, fields, detail = told["answers"][name]
    assert kind == "Invalid", detail
    assert list(fields) == ["dataset"]
    assert REFUSED[name] in detail
    assert SECRET not in detail


@pytest.mark.parametrize("name", TAKEN)
def test_quotes_and_formulas_are_text(told, name):
    assert told["answers"][name] is None


def test_no_code_ran_and_memory_has_a_bound(told, folder):
    assert set(told["answers"]) == {*REFUSED, *TAKEN}
    assert not (folder / "work" / "pwned").exists()
    assert told["peak"] < MOST_RSS


@pytest.mark.parametrize(
    "name", [one for one in REFUSED if one[:2] not in ("06", "07", "08", "13")]
)
def test_the_registry_refuses_them_at_the_door(folder, name):
    """But for what only reading all of it would tell. An open quote may be one long cell to Arrow."""
    kind = schemas.CSV if name.endswith(".csv") else schemas.PARQUET
    if name.startswith("23"):
        return
    with pytest.raises(Unprocessable) as caught:
        schemas.read(folder / name, kind)
    assert caught.value.field == "file"
    assert SECRET not in caught.value.detail


def test_not_a_number_that_parquet_hides_is_seen(tmp_path):
    """Parquet's bounds of a column leave NaN out, and DuckDB concluded that there was none."""
    age = np.float32(np.random.default_rng(0).integers(18, 90, 400))
    age[::23] = np.nan
    score = np.where(np.isnan(age), np.nan, 0.5)
    path = write(tmp_path / "nan.parquet", {"age": age, "score": score, "y": [True, False] * 200})
    bands = {"name": "age", "column": "age", "edges": [40]}
    declared = mapping(label="y", score="score", sensitive=[bands])
    source = source_of(path, tmp_path)
    counted = cube.contingency(source, declared)
    assert sum(cell.n for cell in counted.cells if cell.group == ("unknown",)) == 18
    assert sum(cell.n for cell in cube.score_cube(source, declared).cells) == 382
    source.close()
    adults = source_of(path, tmp_path, filters=[{"column": "age", "least": 18}])
    assert adults.rows == 382
    adults.close()


@pytest.mark.parametrize(
    ("group", "reason"),
    [(["a\0b", "c"], "null character"), ([f"id-{one}" for one in range(4)], "more than 3 groups")],
)
def test_groups_that_nobody_could_keep_are_refused(tmp_path, monkeypatch, group, reason):
    monkeypatch.setattr(sys.modules["monitoring.engine.cube.contingency"], "MOST_CELLS", 3)
    path = write(tmp_path / "g.parquet", {"g": group, "y": [True] * len(group)})
    source = source_of(path, tmp_path)
    with pytest.raises(Invalid, match=reason) as caught:
        cube.contingency(source, mapping(label="y", sensitive=["g"]))
    assert caught.value.field == "mapping.sensitive"
    source.close()


LOCKS = {
    "allowed_paths": "SELECT * FROM read_text('/etc/hostname')",
    "enable_external_access": "ATTACH '/tmp/other.duckdb'",
    "copy": "COPY (SELECT 1) TO '/tmp/countersign-out.csv'",
    "http": "SELECT * FROM 'https://127.0.0.1:9/x.parquet'",
    "install": "INSTALL httpfs",
    "load": "LOAD httpfs",
    "lock_configuration": "SET threads = 64",
    "memory": "SET memory_limit = '64GB'",
    "unlock": "SET lock_configuration = false",
    "reset": "RESET enable_external_access",
    "spill": "SET temp_directory = '/tmp'",
    "environment": "SELECT getenv('HOME')",
    "export": "EXPORT DATABASE '/tmp/countersign-out'",
}


@pytest.mark.parametrize("lock", LOCKS)
def test_each_lock_of_the_engine_holds(lock, tmp_path):
    import duckdb

    path = write(tmp_path / "a.parquet", {"x": [1]})
    backend = connect_locked([path], EngineLimits(64, 1))
    with pytest.raises(duckdb.Error):
        backend.raw_sql(LOCKS[lock]).fetchall()
    assert backend.raw_sql(f"SELECT count(*) FROM '{path}'").fetchall() == [(1,)]
    backend.disconnect()


def test_a_large_file_is_counted_in_little_memory(tmp_path):
    """1,500,000 rows and their scores go through 32 MiB without a spill."""
    chance = np.random.default_rng(2)
    path = tmp_path / "large.parquet"
    schema = pa.schema({"g": pa.string(), "y": pa.bool_(), "p": pa.bool_(), "s": pa.float64()})
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=["g"]) as writer:
        for _ in range(3):
            score = chance.random(500_000)
            group = pa.DictionaryArray.from_arrays(
                chance.integers(0, 3, 500_000), ["a", "b", "c"]
            ).cast(pa.string())
            part = {"g": group, "y": score > 0.3, "p": score > 0.5, "s": score}
            writer.write_table(pa.table(part, schema=schema))
    from monitoring.engine.sources import DataFile, digest_of, open_source

    source = open_source(
        DataFile(path, digest_of(path), filters=(Filter("p", equals=True),)),
        tmp_path,
        limits=EngineLimits(32, 2),
    )
    declared = mapping(label="y", prediction="p", score="s", sensitive=["g"])
    counted, scored = cube.contingency(source, declared), cube.score_cube(source, declared)
    assert counted.rows == sum(cell.n for cell in scored.cells) == source.rows
    source.close()
