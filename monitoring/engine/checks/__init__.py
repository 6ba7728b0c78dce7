"""The five checks: pure functions from aggregates and a configuration to measurements."""
