"""`python -m demo`: play the whole story on real data against the running product, then serve it.

`--check` plays it in a folder of its own, serves nothing, and exits 0 only if every step ended as told.
"""

import argparse
import json
import os
import shutil
import socket
import sys
import tempfile
import threading
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from demo.screen import StoryFailed, Teller

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--check", action="store_true", help="play it aside, do not serve")
    parser.add_argument(
        "--separate",
        action="store_true",
        help="worker, beat and sequencer as processes of their own",
    )
    options = parser.parse_args()
    aside = tempfile.mkdtemp(prefix="countersign-demo-") if options.check else ""
    if aside:
        os.environ["COUNTERSIGN_DATA_DIR"] = aside
        os.environ["COUNTERSIGN_BIND"] = f"127.0.0.1:{_free_port()}"
        os.environ.pop("COUNTERSIGN_PUBLIC_URL", None)
    try:
        return _play(serve=not options.check, apart=options.separate)
    finally:
        if aside:
            shutil.rmtree(aside, ignore_errors=True)


def _play(*, serve: bool, apart: bool) -> int:
    from demo.receiver import Receiver

    teller = Teller()
    receiver = Receiver(_receiver_port())
    os.environ["COUNTERSIGN_OUTBOUND_ALLOW"] = receiver.address
    os.environ["COUNTERSIGN_ORGANISATION"] = os.environ.get(
        "COUNTERSIGN_ORGANISATION", "Fjordbank AS"
    )
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    import django

    django.setup()
    from config.supervision import Supervisor, embedded, separate
    from demo import people

    played = _played(people.demo_file())
    if played == "begun":
        teller.tell(
            f"an earlier demo was cut short; remove {people.demo_file().parent} and start again"
        )
        return 1
    document = (
        _prepare(receiver.url) if played == "no" else json.loads(people.demo_file().read_text())
    )
    receiver.secret = document["webhook"]["secret"]
    log = people.demo_file().with_name("demo.log")
    supervisor = Supervisor(separate() if apart else embedded(), teller.tell, log.open("ab"))
    supervisor.start()
    try:
        if played == "no":
            _tell(document, teller, receiver)
        if not serve:
            return 0
        _where(document, teller)
    except StoryFailed as failure:
        teller.step(f"The story failed: {failure}")
        for line in log.read_text(errors="replace").splitlines()[-40:]:
            teller.tell(line)
        return 1
    except BaseException:
        supervisor.end()
        raise
    finally:
        if not serve:
            supervisor.end()
    return supervisor.run()


def _receiver_port() -> int:
    """The port that an earlier demo told the service; 0, any free one, the first time."""
    folder = Path(os.environ.get("COUNTERSIGN_DATA_DIR", ROOT / "data"))
    try:
        known = json.loads((folder / "demo.json").read_text())["webhook"]["url"]
    except (OSError, KeyError, ValueError):
        return 0
    return urlsplit(known).port or 0


def _played(path: Path) -> str:
    if not path.exists():
        return "no"
    return "yes" if json.loads(path.read_text()).get("finished") else "begun"


def _prepare(receiver_url: str) -> dict:  # type: ignore[type-arg]
    from django.core.management import call_command

    from demo import people
    from kernel import keys

    call_command("migrate", verbosity=0, interactive=False)
    for purpose in ("log", "attestation", "seal", "pepper"):
        keys.current(purpose)
    return people.cast(receiver_url)


def _tell(document: dict, teller: Teller, receiver: object) -> None:  # type: ignore[type-arg]
    from django.conf import settings

    from demo import people
    from demo.stage import Stage
    from demo.story import Story

    folder = Path(settings.COUNTERSIGN.data_dir) / "demo"
    folder.mkdir(exist_ok=True)
    stage = Stage(document, folder, teller)
    stage.until("the web process", lambda: _ready(document["url"]), seconds=60)
    Story(stage, teller, receiver).play()  # type: ignore[arg-type]
    document["finished"] = True
    people.save(document)
    teller.step("The story ended as told.")


def _where(document: dict, teller: Teller) -> None:  # type: ignore[type-arg]
    from demo.people import demo_file

    teller.step(f"Countersign serves at {document['url']}")
    teller.tell(
        f"sign in as rolf, vera, omar, ada, iris or admin; passwords and tokens: {demo_file()}"
    )
    teller.tell("Ctrl-C ends it; `make serve` serves it again")


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    threading.current_thread().name = "demo"
    sys.exit(main())
