"""Three-valued logic (Kleene's strong one), but for one thing: nothing at all is never a pass."""

from collections.abc import Iterable

from governance.controls.results import Status


def all_of(statuses: Iterable[Status]) -> Status:
    """`fail` if any fails, `pass` if all of at least one pass, else `insufficient`."""
    found = list(statuses)
    if Status.FAIL in found:
        return Status.FAIL
    if found and all(status is Status.PASS for status in found):
        return Status.PASS
    return Status.INSUFFICIENT


def any_of(statuses: Iterable[Status]) -> Status:
    """`pass` if any passes, `fail` if all of at least one fail, else `insufficient`."""
    found = list(statuses)
    if Status.PASS in found:
        return Status.PASS
    if found and all(status is Status.FAIL for status in found):
        return Status.FAIL
    return Status.INSUFFICIENT


def negation(status: Status) -> Status:
    """Swaps `pass` and `fail`; what is not known stays so, so that missing evidence denies here too."""
    return {Status.PASS: Status.FAIL, Status.FAIL: Status.PASS}.get(status, Status.INSUFFICIENT)
