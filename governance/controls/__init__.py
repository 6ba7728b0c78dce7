"""Controls: what a policy can ask of a version, each a typed dataclass that judges facts."""
