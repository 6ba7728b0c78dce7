"""A dataset as the engine reads it: its bytes by path, an object fetched, or a table by its name."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from kernel.errors import Unprocessable
from monitoring import configs
from registry import locations
from registry.models import Dataset
from registry.store import path_of

if TYPE_CHECKING:
    from monitoring.engine.sources import Data, Filter


def data_of(
    dataset: Dataset,
    config: dict[str, object],
    filters: str,
    workdir: Path,
    field: str = "dataset",
) -> "Data":
    """Where the rows of a dataset are for one run. An object of a bucket is fetched to `workdir`.

    Raises:
        Unprocessable: nothing but the digest is known, or the object is another one by now.
        Invalid, TooLarge, Unavailable: the object cannot be fetched.
    """
    from monitoring.engine.sources import DataFile, DataTable
    from registry.sources.catalogue import Relation

    kept = _filters(config, filters)
    where = cast("dict[str, str] | None", dataset.location)
    if where is not None and "source" in where:
        relation = Relation(where["source"], where.get("table"), where.get("query"))
        return DataTable(
            relation, dataset.digest, dataset.digest_of, where.get("query_digest"), kept
        )
    if where is not None:
        path = _fetched(dataset, where, workdir, field)
    elif dataset.blob_id is not None:
        path = path_of(dataset.blob_id)
    else:
        raise Unprocessable("the dataset's bytes are not here", field=field)
    form = configs.data_format(dataset.media_type) or "parquet"
    return DataFile(path, dataset.digest, form, kept)


def _fetched(dataset: Dataset, where: dict[str, str], workdir: Path, field: str) -> Path:
    path = workdir / f"{dataset.digest}.object"
    if path.exists():
        return path
    found = locations.fetch(where, path, field)
    if found != dataset.digest:
        path.unlink()
        raise Unprocessable(
            f"the object's SHA-256 is {found}, and {dataset.digest} was registered",
            field=f"{field}.digest",
        )
    return path


def _filters(config: dict[str, object], name: str) -> "tuple[Filter, ...]":
    from monitoring.engine.sources import Filter

    given = cast("list[object]", config.get(name, []))
    return tuple(
        Filter.from_json(one, f"config.{name}[{index}]") for index, one in enumerate(given)
    )
