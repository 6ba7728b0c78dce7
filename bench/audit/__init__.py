"""The audit log under load, beside what else there is: see `__main__.py`."""
