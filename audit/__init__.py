"""Layer 1: the transparency log in the application's own database, and the outbox beside it."""
