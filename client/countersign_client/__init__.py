"""The pipeline's command of Countersign, and its offline verifier. Standard library only."""

__version__ = "0.1.0"
