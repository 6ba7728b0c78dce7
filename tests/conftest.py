"""Fixtures that tests of every layer use."""
