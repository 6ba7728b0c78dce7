"""System checks: what the operator wrote must be readable before anything starts."""

import os
from typing import Any

from django.core.checks import CheckMessage, Error, register

from kernel.conf import ConfigurationError
from registry.sources import catalogue


@register()
def sources_can_be_read(app_configs: Any = None, **kwargs: Any) -> list[CheckMessage]:
    """The file of sources is what it should be. The message quotes no secret."""
    try:
        catalogue.load(os.environ)
    except ConfigurationError as error:
        return [Error(str(error), id="registry.E001")]
    return []
