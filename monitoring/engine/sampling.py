"""Which rows of a large dataset are scored again, so that nobody chose them.

A row's place is the SHA-256 of the dataset's digest, a salt and the row's number: fixed once the
bytes are, the same on every machine. Whoever makes the file could try bytes until the rows that they
altered are spared; a salt that the validator chooses afterwards takes that away.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from monitoring.configs.performance import LEAST_SAMPLE, MODES, MOST_SAMPLE
from monitoring.engine.documents import Fields
from monitoring.engine.sources import ROW, Source

if TYPE_CHECKING:
    import ibis.expr.types as ir

ALL_UP_TO = 5_000_000


@dataclass(frozen=True)
class Rescoring:
    """How much of a dataset with supplied predictions the model is scored on.

    `all` scores every row unless there are more than `ALL_UP_TO`; `sample` only as many `rows`, which
    verifies the supplied predictions and measures on them.
    """

    mode: str = "all"
    rows: int = LEAST_SAMPLE
    salt: str = ""

    @classmethod
    def from_json(cls, value: object, path: str) -> "Rescoring":
        fields = Fields(value, path, ("mode", "rows", "salt"))
        return cls(
            fields.choice("mode", MODES, "all"),
            fields.whole("rows", LEAST_SAMPLE, least=LEAST_SAMPLE, most=MOST_SAMPLE),
            fields.text("salt") if fields.has("salt") else "",
        )

    def to_json(self) -> dict[str, Any]:
        return {"mode": self.mode, "rows": self.rows, "salt": self.salt or None}

    def samples(self, rows: int) -> bool:
        """Are only some of so many rows scored?"""
        return rows > self.rows and (self.mode == "sample" or rows > ALL_UP_TO)


def chosen(source: Source, digest: str, rescoring: Rescoring) -> "ir.Table":
    """The rows with the smallest digests, in the order of their numbers."""
    import ibis

    table = source.table
    prefix = ibis.literal(f"{digest}:{rescoring.salt}:")
    place = (prefix + table[ROW].cast("string")).hexdigest("sha256")
    marked = table.mutate(countersign_place=place)
    return marked.order_by(marked.countersign_place).limit(rescoring.rows).drop("countersign_place")


def most_differing(rows: int, differing: int, level: float = 0.95) -> float:
    """The share of all rows that differ which this sample does not exclude (Clopper and Pearson)."""
    from scipy.stats import beta

    return 1.0 if differing >= rows else float(beta.ppf(level, differing + 1, rows - differing))
