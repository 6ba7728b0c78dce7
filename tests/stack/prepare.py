"""Run as a process on an empty data folder: an engineer with a token, a version with a model and data."""

import json
import sys
import tempfile
from pathlib import Path


def main() -> None:
    import django

    django.setup()
    from django.core.management import call_command

    call_command("up", "--prepare-only", "--quiet")
    from accounts.models import Role
    from registry import services
    from tests import factories as f
    from tests.monitoring.engine import making

    engineer = f.make_user("engineer", Role.DEVELOPER, Role.OWNER, Role.AUDITOR)
    with tempfile.TemporaryDirectory() as folder:
        columns = making.loans(rows=4000)
        data = making.write(Path(folder) / "loans.parquet", columns)
        model = making.train_xgboost(Path(folder) / "model.json", columns)
        mapping = making.loan_job("fairness", data, None)["mapping"]
        stored, artifact = f.store_bytes(data.read_bytes()), f.store_bytes(model.read_bytes())
    dataset = f.make_dataset("loans", stored=stored, media_type="application/vnd.apache.parquet")
    version = f.make_version(
        f.make_model("lending"),
        stored=artifact,
        artifact_name="model.json",
        artifact_format="xgboost_json",
        input_spec=making.SPEC,
    )
    services.declare_columns(version.model, mapping, actor=f.actor_of(engineer))
    sys.stdout.write(json.dumps({"token": f.token_for(engineer), "dataset": dataset.name}))


if __name__ == "__main__":
    main()
