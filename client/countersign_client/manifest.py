"""The manifest: a TOML file in which a team says what it registers.

    [model]      name, title, kind, description, portfolio, legal_entity
    [columns]    label, positive, prediction, positive_prediction, score, time, sensitive, controls,
                 features, categorical, task
    [use]        purpose, excluded_uses, success_criteria, affected_people, operator_role, legal_entity,
                 exposure, tier, tier_reason, decision_rule
    [[stakeholders]]  name, interest, contact
    [version]    label, artifact, format, author, code_commit, code_repository, input_spec,
                 description, parent, [version.parameters], [version.environment]
    [[claims]]   metric, value, dataset, slice
    [[datasets]] name, title, file, purpose, media_type, source, licence, contains_personal_data,
                 derived_from, transformation, collected_from, collected_until
    [[evidence]] kind, name, file
    [[checks]]   kind, dataset, reference, config

Paths are relative to the manifest.
"""

import hashlib
import tomllib
from pathlib import Path
from typing import Any

from countersign_client.errors import UsageError

TABLES = {"model", "columns", "use", "version"}
LISTS = {"stakeholders", "claims", "datasets", "evidence", "checks"}
KNOWN: dict[str, set[str]] = {
    "model": {"name", "title", "kind", "description", "portfolio", "legal_entity"},
    "columns": {
        "label", "positive", "prediction", "positive_prediction", "score", "time", "sensitive",
        "controls", "features", "categorical", "task",
    },
    "use": {
        "name", "purpose", "excluded_uses", "success_criteria", "affected_people",
        "operator_role", "legal_entity", "exposure", "tier", "tier_reason", "decision_rule",
    },
    "version": {
        "label", "artifact", "format", "author", "code_commit", "code_repository", "input_spec",
        "description", "parent", "parameters", "environment",
    },
    "stakeholders": {"name", "interest", "contact"},
    "claims": {"metric", "value", "dataset", "slice"},
    "datasets": {
        "name", "title", "file", "purpose", "media_type", "source", "licence",
        "contains_personal_data", "derived_from", "transformation", "collected_from",
        "collected_until",
    },
    "evidence": {"kind", "name", "file"},
    "checks": {"kind", "dataset", "reference", "config"},
}  # fmt: skip


class Manifest:
    """A parsed manifest. Every problem names its place, as `datasets[1].file`."""

    def __init__(self, path: Path) -> None:
        self.folder = path.parent
        try:
            self.data: dict[str, Any] = tomllib.loads(path.read_text())
        except OSError as error:
            raise UsageError(f"{path}: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: {error}") from None
        _check_names(self.data, path)

    def table(self, name: str) -> dict[str, Any]:
        return dict(self.data.get(name, {}))

    def rows(self, name: str) -> list[dict[str, Any]]:
        return [dict(row) for row in self.data.get(name, [])]

    def need(self, table: str, name: str) -> Any:
        value = self.data.get(table, {}).get(name)
        if value in (None, ""):
            raise UsageError(f"{table}.{name} is missing in the manifest")
        return value

    def file(self, text: object, place: str) -> Path:
        """Resolve a path of the manifest."""
        if not isinstance(text, str) or not text:
            raise UsageError(f"{place} is missing in the manifest")
        path = self.folder / text
        if not path.is_file():
            raise UsageError(f"{place}: there is no file {path}")
        return path


def _check_names(data: dict[str, Any], path: Path) -> None:
    for name, value in data.items():
        if name not in TABLES | LISTS:
            raise UsageError(
                f"{path}: unknown table [{name}]; known are {', '.join(sorted(KNOWN))}"
            )
        if name in TABLES and not isinstance(value, dict):
            raise UsageError(f"{path}: [{name}] must be a table")
        if name in LISTS and not (
            isinstance(value, list) and all(isinstance(r, dict) for r in value)
        ):
            raise UsageError(f"{path}: [[{name}]] must be a list of tables")
        rows = [value] if isinstance(value, dict) else value
        for index, row in enumerate(rows):
            place = name if name in TABLES else f"{name}[{index}]"
            for key in row:
                if key not in KNOWN[name]:
                    known = ", ".join(sorted(KNOWN[name]))
                    raise UsageError(f"{path}: unknown name {place}.{key}; known are {known}")


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
