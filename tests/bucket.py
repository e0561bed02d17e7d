"""An S3-compatible server on this machine, for tests of what is kept in buckets."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import boto3

from tracking_server import free_port

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "word-of-the-bucket-5d20", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def bucket(name: str) -> Iterator[str]:
    """Address of a server that has one empty bucket."""
    port = free_port()
    moto = Path(sys.executable).with_name("moto_server")
    server = subprocess.Popen([moto, "-H", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        while True:
            with suppress(OSError), urllib.request.urlopen(urllib.request.Request(f"{address}/{name}", method="PUT")):
                break
            assert server.poll() is None
            time.sleep(0.1)
        yield address
    finally:
        server.kill()
        server.wait()


def files_in(address: str, name: str) -> list[str]:
    """Keys of all objects in a bucket."""
    client = boto3.client(
        "s3",
        endpoint_url=address,
        aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
        region_name=KEYS["AWS_DEFAULT_REGION"],
    )
    return [
        entry["Key"] for page in client.get_paginator("list_objects_v2").paginate(Bucket=name) for entry in page.get("Contents", [])
    ]
