"""A table that lives: a DuckDB file that the operator named as a source, and a dataset on it."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from monitoring.models import Monitor
from registry import locations
from registry.models import Dataset
from registry.sources import catalogue
from tests import factories
from tests.monitoring import helpers

COLUMNS = {**helpers.COLUMNS, "time": "seen"}
DDL = "CREATE TABLE {} (outcome int, decision int, score double, sex text, x double, seen {})"


class Lake:
    """`put` adds rows, `away` makes it unreachable, `back` undoes that."""

    def __init__(self, folder: Path, monkeypatch: Any) -> None:
        self.path, self.file = folder / "lake.duckdb", folder / "lake.toml"
        self.table("loans")
        self.offer("loans", "days", "texts", "timeless")
        monkeypatch.setenv(catalogue.VARIABLE, str(self.file))

    def offer(self, *tables: str) -> None:
        """What the operator's file says from now on."""
        named = ", ".join(f'"{one}"' for one in tables)
        self.file.write_text(f'[sources.lake]\nurl = "duckdb://{self.path}"\ntables = [{named}]\n')

    def table(self, name: str, time: str = "timestamp") -> None:
        self.run(DDL.format(name, time))

    def run(self, statement: str, *values: Any) -> None:
        with duckdb.connect(self.path) as link:
            link.execute(statement, list(values) or None)

    def put(
        self, start: datetime, count: int = 100, *, right: float = 0.9, into: str = "loans"
    ) -> None:
        """Rows a second apart from `start` on, of which this share was decided right."""
        self.run(
            f"INSERT INTO {into} SELECT i % 2, CASE WHEN i < ? THEN i % 2 ELSE 1 - i % 2 END, 0.5, "
            "CASE WHEN i % 4 < 2 THEN 'F' ELSE 'M' END, i, ?::timestamp + i * interval 1 second "
            "FROM range(?) t(i)",
            count * right, start.replace(tzinfo=None), count,
        )  # fmt: skip

    def away(self) -> None:
        self.path.rename(self.path.with_suffix(".away"))

    def back(self) -> None:
        self.path.with_suffix(".away").rename(self.path)


def dataset(table: str = "loans", *, pinned: bool = False, **fields: Any) -> Dataset:
    located = locations.examine({"source": "lake", "table": table}, pinned=pinned)
    there = Dataset.objects.filter(digest=located.digest).first()
    return there or factories.make_dataset(located=located, digest=located.digest, **fields)


def monitor(**fields: Any) -> Monitor:
    """A monitor that judges each day of the lake's table of loans."""
    version = fields.pop("version", None) or helpers.version(columns=COLUMNS)
    if "source" not in fields:
        fields["source"] = dataset()
    return helpers.monitor(version, **{"window": "day", "silent_after_seconds": None, **fields})


def day_of(at: datetime, count: int = 0) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=count)
