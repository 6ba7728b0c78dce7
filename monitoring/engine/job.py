"""A check to be run: plain data that can be stored and sent, and read back with named errors."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, cast, get_args

from kernel import canonical
from kernel.identifiers import parse_digest
from kernel.moments import parse_rfc3339, rfc3339
from monitoring.engine.documents import Fields
from monitoring.engine.inputs import InputSpec
from monitoring.engine.mapping import ColumnMapping
from monitoring.engine.profiles import FLOOR
from monitoring.engine.reference_profile import ReferenceProfile
from monitoring.engine.results import Grade
from monitoring.engine.sampling import Rescoring
from monitoring.engine.sandbox import SandboxLimits
from monitoring.engine.sources import Data, DataFile, EngineLimits, data_from_json

Kind = Literal[
    "performance",
    "fairness",
    "drift",
    "explainability",
    "data_quality",
    "oversight",
    "robustness",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
_Limits = TypeVar("_Limits", EngineLimits, SandboxLimits)
GRADES: tuple[Grade, ...] = ("claimed", "recomputed", "re-performed")


@dataclass(frozen=True)
class Artifact:
    """A model's file. `format` is one of `loaders.FORMATS`; anything else is never opened."""

    path: Path
    digest: str
    format: str

    @classmethod
    def from_json(cls, value: object, path: str) -> "Artifact":
        fields = Fields(value, path, ("path", "digest", "format"))
        return cls(
            Path(fields.text("path")),
            parse_digest(fields.raw("digest"), fields.name("digest")),
            fields.text("format"),
        )

    def to_json(self) -> dict[str, Any]:
        return {"path": str(self.path), "digest": self.digest, "format": self.format}


@dataclass(frozen=True)
class Comparator:
    """Another model that the same rows are scored by: the version in production, say, by its `name`."""

    name: str
    artifact: Artifact
    input_spec: InputSpec

    @classmethod
    def from_json(cls, value: object, path: str) -> "Comparator":
        fields = Fields(value, path, ("name", "artifact", "input_spec"))
        return cls(
            fields.text("name"),
            Artifact.from_json(fields.raw("artifact"), f"{path}.artifact"),
            InputSpec.from_json(fields.raw("input_spec"), f"{path}.input_spec"),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "artifact": self.artifact.to_json(),
            "input_spec": self.input_spec.to_json(),
        }

    def identity(self) -> dict[str, str]:
        return {"artifact": self.artifact.digest, "input_spec": self.input_spec.digest}


@dataclass(frozen=True)
class CheckJob:
    """One check on one dataset.

    `grade` is the highest grade wanted: `recomputed` uses the predictions in the data even if the
    artifact could be scored. `reference` is what drift compares with and data quality looks for
    leaks in; a drift check may have a `reference_profile` in its place. Counts of groups under `floor`
    are kept out of what everybody sees. `seed` is derived from the job's digests when None. `shelf` is a folder in which
    predictions are kept for the next check; it decides nothing that is measured.
    `rescoring` says how many rows are scored again where predictions were supplied; `scoring_endpoint`
    names a customer's endpoint that scores in the sandbox's place the artifact of `artifact_digest`,
    which need not be here; `comparator` is the other model
    of a paired comparison; `as_of` the instant, RFC 3339, at which the check was asked for, which
    ages are counted to.
    """

    kind: Kind
    dataset: Data
    mapping: ColumnMapping
    config: Mapping[str, Any] = field(default_factory=dict)
    artifact: Artifact | None = None
    input_spec: InputSpec | None = None
    reference: Data | None = None
    reference_profile: ReferenceProfile | None = None
    seed: int | None = None
    grade: Grade = "re-performed"
    engine: EngineLimits = field(default_factory=EngineLimits)
    sandbox: SandboxLimits = field(default_factory=SandboxLimits)
    shelf: Path | None = None
    floor: int = FLOOR
    rescoring: Rescoring = field(default_factory=Rescoring)
    scoring_endpoint: str | None = None
    comparator: Comparator | None = None
    artifact_digest: str | None = None
    as_of: str | None = None

    @property
    def pinned(self) -> str | None:
        """The digest of the artifact that is checked, opened here or not."""
        return self.artifact.digest if self.artifact else self.artifact_digest

    def typed(self) -> "CheckJob":
        """The same job, whose files' columns without any value are read as what is declared of them."""
        specs = [self.input_spec, self.comparator.input_spec if self.comparator else None]
        types: dict[str, str] = {}
        for spec in specs:
            types = (spec.types() if spec else {}) | types
        types |= self.mapping.types()
        dataset, reference = (
            replace(one, declared=types) if isinstance(one, DataFile) else one
            for one in (self.dataset, self.reference)
        )
        assert dataset is not None, "every job has one"
        return replace(self, dataset=dataset, reference=reference)

    @classmethod
    def from_json(cls, value: object) -> "CheckJob":
        """Read a job.

        Raises:
            Invalid: naming the field.
        """
        names = ("kind", "dataset", "mapping", "config", "artifact", "input_spec", "reference")
        more = ("reference_profile", "seed", "grade", "engine", "sandbox", "floor")
        scoring = ("rescoring", "scoring_endpoint", "comparator", "artifact_digest", "as_of")
        fields = Fields(value, "", (*names, *more, *scoring))
        return cls(
            kind=cast(Kind, fields.choice("kind", KINDS)),
            dataset=data_from_json(fields.raw("dataset"), "dataset"),
            mapping=ColumnMapping.from_json(fields.raw("mapping")),
            config=fields.mapping("config"),
            artifact=Artifact.from_json(fields.raw("artifact"), "artifact")
            if fields.has("artifact")
            else None,
            input_spec=InputSpec.from_json(fields.raw("input_spec"))
            if fields.has("input_spec")
            else None,
            reference=data_from_json(fields.raw("reference"), "reference")
            if fields.has("reference")
            else None,
            reference_profile=ReferenceProfile.from_json(
                fields.raw("reference_profile"), "reference_profile"
            )
            if fields.has("reference_profile")
            else None,
            seed=fields.whole("seed", None) if fields.has("seed") else None,
            grade=cast(Grade, fields.choice("grade", GRADES[1:], "re-performed")),
            engine=_bounds(EngineLimits, fields, "engine"),
            sandbox=_bounds(SandboxLimits, fields, "sandbox"),
            floor=fields.whole("floor", FLOOR, least=1),
            rescoring=Rescoring.from_json(fields.raw("rescoring") or {}, "rescoring"),
            scoring_endpoint=fields.optional_text("scoring_endpoint"),
            comparator=Comparator.from_json(fields.raw("comparator"), "comparator")
            if fields.has("comparator")
            else None,
            artifact_digest=parse_digest(fields.raw("artifact_digest"), "artifact_digest")
            if fields.has("artifact_digest")
            else None,
            as_of=rfc3339(parse_rfc3339(fields.raw("as_of"), "as_of"))
            if fields.has("as_of")
            else None,
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "dataset": self.dataset.to_json(),
            "mapping": self.mapping.to_json(),
            "config": dict(self.config),
            "artifact": self.artifact.to_json() if self.artifact else None,
            "input_spec": self.input_spec.to_json() if self.input_spec else None,
            "reference": self.reference.to_json() if self.reference else None,
            "reference_profile": self.reference_profile.to_json()
            if self.reference_profile
            else None,
            "seed": self.seed,
            "grade": self.grade,
            "engine": dict(vars(self.engine)),
            "sandbox": dict(vars(self.sandbox)),
            "floor": self.floor,
            "rescoring": self.rescoring.to_json(),
            "scoring_endpoint": self.scoring_endpoint,
            "comparator": self.comparator.to_json() if self.comparator else None,
            "artifact_digest": self.artifact_digest,
            "as_of": self.as_of,
        }

    def effective_seed(self) -> int:
        """The given seed, or 52 bits of the digest of what is checked."""
        if self.seed is not None:
            return self.seed
        identity: dict[str, Any] = {
            "kind": self.kind,
            "dataset": self.dataset.identity(),
            "reference": self.reference.identity() if self.reference else None,
            "artifact": self.pinned,
            "config": dict(self.config),
        }
        if self.comparator is not None:
            identity["comparator"] = self.comparator.identity()
        if self.reference_profile is not None:
            identity["reference_profile"] = self.reference_profile.identity()
        return int(canonical.digest(identity)[:13], 16)


def _bounds(kind: type[_Limits], fields: Fields, key: str) -> _Limits:
    defaults = vars(kind())
    given = Fields(fields.mapping(key), key, tuple(defaults))
    return kind(**{name: given.whole(name, value, least=1) for name, value in defaults.items()})
