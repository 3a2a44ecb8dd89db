"""A server of S3 as a process: moto, which can be stopped, frozen and started again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pkgutil import resolve_name

import httpx

from tests.fakes.service_process import find_free_port
from tests.fakes.waiting import wait_until

BUCKET = "results-of-tests"
ACCESS_KEY = "access-key-of-tests"
SECRET_KEY = "secret-key-of-tests"


@dataclass
class S3Server:
    """
    A server of S3, which forgets its objects when it is stopped.

    :param checks_keys: Whether it refuses keys that it does not know, which are all of them.
    """

    port: int
    checks_keys: bool = False
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> Mapping[str, str]:
        """The variables by which clients find it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def start(self) -> None:
        """Start it with an empty bucket."""
        keys = {"INITIAL_NO_AUTH_ACTION_COUNT": "1"} if self.checks_keys else {}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            env={**os.environ, **keys},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._make_bucket)

    def _make_bucket(self) -> bool:
        try:
            return httpx.put(f"{self.url}/{BUCKET}", trust_env=False).is_success
        except httpx.TransportError:
            return False

    def create_writer(self, prefix: str) -> tuple[str, str]:
        """
        Create a user who may only put objects below a prefix of the bucket, and refuse all others.

        :return: The access key and its secret.
        """
        url = f"{self.url}/moto-api/reset-auth"
        httpx.post(url, content="3", trust_env=False).raise_for_status()  # the calls that are still allowed
        iam = resolve_name("boto3:client")("iam", **self._options)  # not on every Airflow
        iam.create_user(UserName="writer")
        key = iam.create_access_key(UserName="writer")["AccessKey"]
        allowed = {
            "Effect": "Allow",
            "Action": "s3:PutObject",
            "Resource": f"arn:aws:s3:::{BUCKET}/{prefix}/*",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        iam.put_user_policy(UserName="writer", PolicyName="writes", PolicyDocument=policy)
        return key["AccessKeyId"], key["SecretAccessKey"]

    @property
    def _options(self) -> dict[str, str]:
        return {
            "endpoint_url": self.url,
            "aws_access_key_id": ACCESS_KEY,
            "aws_secret_access_key": SECRET_KEY,
            "region_name": "us-east-1",
        }

    def stop(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @contextmanager
    def be_frozen(self) -> Iterator[None]:
        """Let it take connections and answer nothing, while the block lasts."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)


@contextmanager
def run_s3(*, checks_keys: bool = False, starts: bool = True) -> Iterator[S3Server]:
    """Run a server of S3 until the end of the block."""
    server = S3Server(find_free_port(), checks_keys)
    try:
        if starts:
            server.start()
        yield server
    finally:
        server.stop()
