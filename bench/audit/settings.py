"""The product's settings, with the invented shop and the two packages that it is compared with."""

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "auditlog", "simple_history", "bench.audit.shop"]
