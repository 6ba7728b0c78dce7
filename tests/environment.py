"""The environment of all tests, loaded before Django reads its settings: a data folder of their own."""

import atexit
import os
import shutil
import sys
import tempfile

from hypothesis import settings

# Before Django reads its settings: tests never touch an installation's data.
_DATA = tempfile.mkdtemp(prefix="countersign-tests-")
atexit.register(shutil.rmtree, _DATA, ignore_errors=True)
os.environ["COUNTERSIGN_DATA_DIR"] = os.path.join(
    _DATA, os.environ.get("PYTEST_XDIST_WORKER", "main")
)
for _name in [
    name
    for name in os.environ
    if name.startswith("COUNTERSIGN_")
    and name not in {"COUNTERSIGN_DATA_DIR", "COUNTERSIGN_VECTORS", "COUNTERSIGN_TEST_DATABASE_URL"}
]:
    del os.environ[_name]
if os.environ.get("COUNTERSIGN_TEST_DATABASE_URL"):
    os.environ["COUNTERSIGN_DATABASE_URL"] = os.environ["COUNTERSIGN_TEST_DATABASE_URL"]

# Tests start the product's processes by the dozen: what one has compiled, the others need not.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# No test asserts a time; on a busy machine any deadline is a lottery.
settings.register_profile("countersign", deadline=None)
settings.load_profile("countersign")
