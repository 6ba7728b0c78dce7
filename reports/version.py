"""Which software issues a report."""

from importlib.metadata import PackageNotFoundError, version


def _software() -> str:
    try:
        return f"Countersign {version('countersign')}"
    except PackageNotFoundError:
        # Run from a source tree, which is not installed as a package.
        return "Countersign"


SOFTWARE = _software()
