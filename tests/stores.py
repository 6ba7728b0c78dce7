"""A real S3 server for tests: moto's, on a port of its own, with credentials that open nothing else."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from kernel.buckets import Bucket, Location

# Set before boto3 looks, so that no test ever finds a person's own credentials.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "tests",
    "AWS_SECRET_ACCESS_KEY": "tests",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def s3() -> Iterator[str]:
    """Run the server and yield its URL."""
    from moto.server import ThreadedMotoServer

    os.environ.update(CREDENTIALS)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def new_bucket(url: str, prefix: str = "") -> Location:
    """Make a bucket of a new name on the server at `url`."""
    place = Location(f"tests-{uuid4().hex}", prefix, url)
    Bucket(place)._client.create_bucket(Bucket=place.bucket)
    return place
