"""What holds for the project as a whole: layers, migrations, what the web process imports, OpenAPI, admin."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser
from django.db.models import Model
from django.test import Client, RequestFactory

from kernel.admin import ReadOnlyAdmin
from tests import factories as f

ROOT = Path(__file__).resolve().parent.parent.parent
LAYERS = ("audit", "accounts", "registry", "monitoring", "governance", "reports")
HEAVY = ("evidently", "shap", "fairlearn", "numba")


def run(
    arguments: list[str], tmp_path: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Our interpreter with the project on its path and a data folder of its own."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith("COUNTERSIGN_")
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={
            **kept,
            "COUNTERSIGN_DATA_DIR": str(tmp_path / "data"),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "client")]),
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


def test_layers_import_only_downwards(tmp_path: Path) -> None:
    code = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    done = run(["-c", code], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_the_client_imports_nothing_of_the_server_and_no_third_party(tmp_path: Path) -> None:
    """But for the seal of a PDF, which is checked by an extra that must be asked for."""
    code = """
        import importlib, pkgutil, sys
        sys.path.insert(0, "client")
        before = set(sys.modules)
        import countersign_client
        for found in pkgutil.iter_modules(countersign_client.__path__):
            if found.name not in ("__main__", "pdf"):
                importlib.import_module(f"countersign_client.{found.name}")
        roots = {name.split(".")[0] for name in set(sys.modules) - before}
        known = {*sys.stdlib_module_names, "countersign_client", "__mp_main__"}
        print(sorted(roots - known))
    """
    done = run(["-S", "-c", textwrap.dedent(code)], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_every_change_of_a_table_has_its_migration(tmp_path: Path) -> None:
    done = run(["manage.py", "makemigrations", "--check", "--dry-run"], tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_web_process_imports_none_of_the_heavy_libraries(tmp_path: Path) -> None:
    """Not when it starts, not when every route is resolved, not when pages and REST are asked."""
    code = f"""
        import json, sys
        import django
        django.setup()
        from django.core.management import call_command
        call_command("migrate", verbosity=0)
        from config.wsgi import application
        from django.test import Client
        from django.urls import get_resolver
        from accounts.models import Role
        from tests import factories as f

        def walk(resolver):
            for pattern in resolver.url_patterns:
                if hasattr(pattern, "url_patterns"):
                    walk(pattern)
                else:
                    assert callable(pattern.callback)

        walk(get_resolver())
        person = f.make_user("everybody", *Role)
        model = f.make_model("m")
        f.make_version(model)
        client = Client(SERVER_NAME="localhost")
        client.force_login(person)
        answers = {{}}
        for path in ("/livez", "/readyz", "/", "/models/", "/models/m/", "/models/m/versions/1/",
                     "/api/v1/models/", "/api/v1/models/m/versions/1/checks/", "/api/v1/schema/"):
            answers[path] = client.get(path).status_code
        check = {{"kind": "fairness", "dataset": "nothing"}}
        answers["check"] = client.post(
            "/api/v1/models/m/versions/1/checks/", check, content_type="application/json"
        ).status_code
        print(json.dumps([answers, [name for name in {HEAVY!r} if name in sys.modules]]))
    """
    done = run(["-c", textwrap.dedent(code)], tmp_path)
    assert done.returncode == 0, done.stderr
    answers, imported = json.loads(done.stdout.splitlines()[-1])
    assert imported == []
    assert answers.pop("check") == 400
    assert set(answers.values()) == {200}, answers


def test_the_openapi_document_is_valid_and_has_no_warning(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    arguments = ["--validate", "--fail-on-warn", "--format", "openapi-json", "--file", str(file)]
    done = run(["manage.py", "spectacular", *arguments], tmp_path)
    assert done.returncode == 0, done.stderr
    document = json.loads(file.read_text())
    assert set(document["components"]["securitySchemes"]) == {"token", "session"}
    names = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            names.append(operation["operationId"])
            refusal = operation["responses"]["default"]["content"]
            assert list(refusal) == ["application/problem+json"], (path, method)
            if method in ("post", "put", "patch"):
                assert operation.get("requestBody") or _takes_nothing(path), (path, method)
    assert len(names) == len(set(names)) > 100


def _takes_nothing(path: str) -> bool:
    return path.endswith(
        (
            "/end/",
            "/revoke/",
            "/deactivate/",
            "/disable/",
            "/secret/",
            "/cancel/",
            "/retry/",
            "/grant/",
        )
    )


class TestBackOffice:
    """The stock admin shows rows to staff and writes none."""

    #: Without a page of their own, and why.
    HIDDEN: dict[str, set[str]] = {
        "accounts": {"Pseudonym", "Reauthentication", "IdempotencyRecord", "Responsibility"},
        "registry": {
            "RegisteredModelUserPermission", "Stakeholder", "ColumnMapping", "Blob",
            "RevisionChange", "DatasetLineage", "DatasetUse", "Environment", "ModeProposal",
        },
        "governance": {"Policy"},
    }  # fmt: skip

    REGISTERED = list(admin.site._registry.items())

    @pytest.mark.parametrize("model", [model for model, _ in REGISTERED], ids=lambda m: m.__name__)
    def test_no_page_adds_changes_or_deletes(self, model: type[Model]) -> None:
        page: Any = admin.site._registry[model]
        request = RequestFactory().get("/")
        request.user = f.User(username="root", is_staff=True, is_superuser=True)
        assert isinstance(page, ReadOnlyAdmin)
        assert page.has_view_permission(request)
        for may in (
            page.has_add_permission,
            page.has_change_permission,
            page.has_delete_permission,
        ):
            assert not may(request)
        assert not page.get_actions(request)
        assert not page.list_editable
        assert not page.get_inline_instances(request)
        request.user = AnonymousUser()  # type: ignore[assignment]
        request.user.is_staff = False
        assert not page.has_view_permission(request)

    @pytest.mark.parametrize("label", sorted(HIDDEN))
    def test_each_table_has_a_page_or_is_left_out_on_purpose(self, label: str) -> None:
        shown = {model for model, _ in self.REGISTERED}
        rest = {
            model.__name__
            for model in apps.get_app_config(label).get_models()
            if model not in shown and not model._meta.auto_created
        }
        assert rest == self.HIDDEN[label]

    @pytest.mark.django_db
    @pytest.mark.parametrize("model", [model for model, _ in REGISTERED], ids=lambda m: m.__name__)
    def test_staff_look_and_others_do_not(self, model: type[Model]) -> None:
        base = f"/back-office/{model._meta.app_label}/{model._meta.model_name}/"
        staff, other = Client(), Client()
        staff.force_login(f.make_user(is_staff=True, is_superuser=True))
        other.force_login(f.make_user(None, "administrator"))
        assert staff.get(base).status_code == 200
        assert staff.get(f"{base}add/").status_code == 403
        assert other.get(base).status_code == 302

    def test_no_secret_is_shown(self) -> None:
        for name, hidden in (("User", "password"), ("ApiToken", "secret_hmac")):
            page = next(page for model, page in self.REGISTERED if model.__name__ == name)
            assert hidden in (page.exclude or ())
