"""LightGBM's text format: each tree's arrays must have the lengths and indices that it claims."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from monitoring.engine.loaders.model import THREADS, Opened, probabilities, refuse
from monitoring.engine.loaders.structure import reached

_NODES = (
    "split_feature",
    "threshold",
    "decision_type",
    "left_child",
    "right_child",
)


def open_model(path: Path, positive_index: int) -> Opened:
    check(path)
    import lightgbm

    booster = lightgbm.Booster(model_file=str(path), params={"verbosity": -1})

    def score(matrix: Any) -> Any:
        return probabilities(booster.predict(matrix, num_threads=THREADS), positive_index)

    return booster, score, int(booster.num_feature())


def check(path: Path) -> None:
    """Read the file as LightGBM will, and refuse what would lead it out of its arrays.

    Raises:
        Invalid: naming the tree and what is wrong with it.
    """
    header: dict[str, str] = {}
    count = 0
    for place, section in enumerate(_sections(path)):
        if not place:
            header = section
            continue
        _check_tree(section, _number(header, "max_feature_idx", 0, 10**7))
        count += 1
    if not count:
        refuse("the file holds no tree")
    if count % _classes(header):
        refuse("the file holds another number of trees than classes")
    if "tree_sizes" in header:
        _check_sizes(path, header["tree_sizes"])


def _classes(header: Mapping[str, str]) -> int:
    """How many numbers a row gets. LightGBM makes room for one of three, and writes by the others."""
    found = _number(header, "num_class", 1, 10_000) if "num_class" in header else 1
    others = []
    if "num_tree_per_iteration" in header:
        others.append(_number(header, "num_tree_per_iteration", 1, 10_000))
    others += [
        _number({"num_class": one.removeprefix("num_class:")}, "num_class", 1, 10_000)
        for one in header.get("objective", "").split()
        if one.startswith("num_class:")
    ]
    if any(one != found for one in others):
        refuse("the file says several numbers of classes")
    return found


def _check_sizes(path: Path, declared: str) -> None:
    """LightGBM jumps to each tree by the sizes that the header declares."""
    data = path.read_bytes()
    starts = [found.start() for found in re.finditer(rb"^Tree=", data, re.MULTILINE)]
    sizes = _integers(declared, "the header's tree_sizes").tolist()
    if len(sizes) != len(starts) or any(
        start + size != following
        for start, size, following in zip(starts, sizes, starts[1:], strict=False)
    ):
        refuse("tree_sizes are not the sizes of the trees")
    if starts[-1] + sizes[-1] > len(data) or sizes[-1] < 0:
        refuse("tree_sizes lead out of the file")


def _sections(path: Path) -> Iterator[dict[str, str]]:
    """The header, then each tree, as names and values; ends where the trees end."""
    section: dict[str, str] = {}
    # LightGBM ends lines at a carriage return too, and texts at a zero.
    with path.open(encoding="utf-8", errors="strict", newline="") as stream:
        try:
            for line in stream:
                if line.endswith("\r"):
                    refuse("a line ends at a carriage return alone")
                bare = line.strip()
                if bare.startswith("Tree=") or bare == "end of trees":
                    if not line.startswith(bare):
                        refuse("a line before a tree is indented")
                    yield section
                    section = {}
                    if bare == "end of trees":
                        return
                name, separator, value = bare.partition("=")
                if "\0" in line or (separator and name in section):
                    refuse(f"{name[:40]!r} stands twice in a section, or holds a zero")
                if separator:
                    section[name] = value
        except UnicodeDecodeError as error:
            refuse("the file is no text", error)
    refuse("the trees do not end")


def _number(section: Mapping[str, str], name: str, least: int, most: int) -> int:
    try:
        value = int(section[name])
    except (KeyError, ValueError) as error:
        refuse(f"{name} is not a number", error)
    if not least <= value <= most:
        refuse(f"{name} is {value}, expected {least} to {most}")
    return value


def _check_tree(section: Mapping[str, str], last_feature: int) -> None:
    import numpy as np

    name = f"tree {section.get('Tree', '')[:12]}"
    longest = max((len(value) for value in section.values()), default=0)
    leaves = _number(section, "num_leaves", 1, max(1, longest))
    if _integers(section.get("is_linear", "0"), name).any():
        refuse(f"{name} has linear leaves, which are not taken")
    if len(section.get("leaf_value", "").split()) != leaves:
        refuse(f"{name} claims {leaves} leaves and has another number")
    if leaves == 1:
        return
    arrays: dict[str, Any] = {}
    for key in _NODES:
        values = section.get(key, "").split()
        if len(values) != leaves - 1:
            refuse(f"{name} has {len(values)} of {key}, expected {leaves - 1}")
        if key != "threshold":
            arrays[key] = _integers(section[key], name)
    features = arrays["split_feature"]
    if features.min() < 0 or features.max() > last_feature:
        refuse(f"{name} splits by an input that the model does not have")
    _check_categories(section, arrays["decision_type"], name)
    # Leaves are counted from -1 down; here they follow the inner nodes.
    ends = np.full(leaves, -1)
    children = [
        np.concatenate([np.where(side < 0, leaves - 2 - side, side), ends])
        for side in (arrays["left_child"], arrays["right_child"])
    ]
    found = reached(*children)
    if found is None or len(found) != 2 * leaves - 1:
        refuse(f"{name} is not a tree: its nodes lead out of it or in a circle")


def _check_categories(section: Mapping[str, str], kinds: Any, name: str) -> None:
    import numpy as np

    count = _number(section, "num_cat", 0, len(kinds)) if "num_cat" in section else 0
    categorical = (kinds & 1) == 1
    if int(categorical.sum()) != count:
        refuse(f"{name} claims {count} splits by category and has {int(categorical.sum())}")
    if not count:
        return
    bounds = _integers(section.get("cat_boundaries", ""), name)
    words = len(section.get("cat_threshold", "").split())
    thresholds = np.array(section["threshold"].split(), float)[categorical]
    if (
        len(bounds) != count + 1
        or bounds[0] != 0
        or bounds[-1] != words
        or (np.diff(bounds) <= 0).any()
        or not ((thresholds >= 0) & (thresholds < count)).all()
    ):
        refuse(f"{name} has malformed sets of categories")


def _integers(text: str, name: str) -> Any:
    import numpy as np

    try:
        return np.array([int(one) for one in text.split()], np.int64)
    except (ValueError, OverflowError) as error:
        refuse(f"{name} has something else than whole numbers", error)
