"""The web process: gunicorn on COUNTERSIGN_BIND."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from gunicorn.app.base import BaseApplication

from audit import startup
from config.supervision import end_with_parent


class _Server(BaseApplication):  # type: ignore[misc]
    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        from config.wsgi import application

        return application


class Command(BaseCommand):
    help = "Serve pages and REST."
    requires_system_checks: list[str] = []  # noqa: RUF012  # `up` ran them

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--workers", type=int, default=1)
        parser.add_argument("--threads", type=int, default=8)

    def handle(self, *args: Any, **options: Any) -> None:
        end_with_parent()
        startup.at_start("web")
        _Server(
            {
                "bind": settings.COUNTERSIGN.bind,
                "workers": options["workers"],
                "threads": options["threads"],
                "worker_class": "gthread",
                "worker_tmp_dir": "/dev/shm" if _has_shm() else None,  # noqa: S108
                # Large uploads are streamed; a worker that is busy with one is not dead.
                "timeout": 600,
                "graceful_timeout": 10,
                "accesslog": None,
                "loglevel": "warning",
                "proc_name": "countersign-web",
            }
        ).run()


def _has_shm() -> bool:
    from pathlib import Path

    return Path("/dev/shm").is_dir()  # noqa: S108
