"""A model that was opened, and what all of them have in common."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from kernel.errors import Invalid
from monitoring.engine.loaders.formats import FIELD

Opened = tuple[Any, Callable[[Any], Any], int | None]
"""The library's own object, the scoring function, the number of inputs if the file tells it."""

THREADS = 2
NUMBER = -1
"""In the place of the positive class's index: the model's only output is a number of any size."""


@dataclass(frozen=True)
class Model:
    """A loaded model: `score` maps float32 (rows, inputs) to probabilities of the positive class.

    `native` is the library's own object, for explanations.
    """

    format: str
    native: Any
    score: Callable[[Any], Any]
    positive_index: int = 1


def refuse(detail: str, cause: Exception | None = None) -> NoReturn:
    raise Invalid(detail, field=FIELD) from cause


def probabilities(output: Any, positive_index: int) -> Any:
    """One probability for each row from a library's output; with `NUMBER` one number.

    Raises:
        Invalid: the output is of another shape, or lies outside 0 to 1.
    """
    import numpy as np

    scores = np.asarray(output, np.float64)
    if scores.ndim == 2 and scores.shape[1] == 1:
        scores = scores[:, 0]
    if positive_index == NUMBER:
        if scores.ndim != 1 or not np.isfinite(scores).all():
            refuse("the model's output is not one finite number for each row")
        return scores
    if scores.ndim == 2:
        if positive_index >= scores.shape[1]:
            raise Invalid(
                f"the model gives {scores.shape[1]} classes", field="input_spec.positive_index"
            )
        scores = scores[:, positive_index]
    if scores.ndim != 1:
        refuse("the model's output is not one number for each row")
    if len(scores) and not (np.isfinite(scores).all() and 0 <= scores.min() <= scores.max() <= 1):
        refuse("the model's output is not a probability")
    return scores
