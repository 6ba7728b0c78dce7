"""What the layers above add to a verification of the log: checks of tables that this one does not know."""

from collections.abc import Callable, Iterable, Iterator

Check = Callable[[], Iterable[tuple[str, str]]]

_checks: list[Check] = []


def also(check: Check) -> None:
    """Have `check` called by each verification; it yields (code, message) for what is wrong.

    Called in `AppConfig.ready()`.
    """
    if check not in _checks:
        _checks.append(check)


def findings() -> Iterator[tuple[str, str]]:
    for check in _checks:
        yield from check()
