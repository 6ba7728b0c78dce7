"""Django's SQLite backend with a fairer wait for the one writer's turn; see `base`."""
