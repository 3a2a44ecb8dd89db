"""
Object storage by fsspec: S3, Google Cloud Storage and Azure Blob Storage.

Credentials come from where each cloud's own tools find them: the environment, files, or the machine's role.
fsspec and the clouds' libraries are imported when a store is opened.
"""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, TypeVar
from urllib.parse import urlsplit

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError, PushMetricsUnavailableError
from airflow_provider_pushmetrics.redaction import redact
from airflow_provider_pushmetrics.service.storage.ids import generate_uid
from airflow_provider_pushmetrics.service.storage.object_file import ObjectFile
from airflow_provider_pushmetrics.serving.logs import ThrottledLog

T = TypeVar("T")

UPLOAD_PART_BYTES = 8 * 1024 * 1024
UPLOAD_PARTS = 4
"""How many parts of a file are uploaded, and so in memory, at a time."""

DELETERS = 16

READ_SECONDS = 10.0
WRITE_SECONDS = 60.0
"""How long an operation is tried again while the store is away; one attempt may end later."""

ATTEMPT_SECONDS = 30.0
SLOWEST_BYTES_PER_SECOND = 256 * 1024
"""How long one upload may take: S3's library waits without end for a server that does not let it begin."""

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0

STORE_REST_SECONDS = 5.0
"""How long nothing is read from a store that was away: who waits for it holds a thread."""

RETRY_AFTER_SECONDS = 5.0

LASTING = frozenset({errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.ENAMETOOLONG, errno.EREMCHG})
"""The errors of an answer that a repeated request would get again."""

TEMPORARY_STATUSES = frozenset({408, 429, *range(500, 600)})


@dataclass(frozen=True)
class Provider:
    """
    A kind of object storage.

    :param files: The class of its file system, and ``extra``, which installs it.
    :param credentials: Where its credentials come from, for an error.
    :param modified: What its listings call the time of the last change, and ``version``, the version.
    :param options: The options of its file system.
    :param upload: The options of an upload, which limit its memory.
    :param temporary: The errors of its libraries that mean that it is away.
    """

    files: str
    extra: str
    credentials: str
    modified: str
    version: str
    options: Mapping[str, Any] = field(default_factory=dict)
    upload: Mapping[str, Any] = field(default_factory=dict)
    temporary: Sequence[str] = ()


PROVIDERS: Mapping[str, Provider] = {
    "s3": Provider(
        "s3fs:S3FileSystem",
        "s3",
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, AWS_PROFILE, or the machine's role, and"
        " AWS_ENDPOINT_URL for a server of your own",
        "LastModified",
        "ETag",
        # Tried again here, and not by two libraries as well.
        {"config_kwargs": {"retries": {"total_max_attempts": 1}}},
        {"chunksize": UPLOAD_PART_BYTES, "max_concurrency": UPLOAD_PARTS},
        ("aiohttp:ClientError", "botocore.exceptions:ConnectionError", "botocore.exceptions:HTTPClientError"),
    ),
    "gs": Provider(
        # The plain one: fsspec's asks for the type of the bucket first, which needs one more right.
        "gcsfs.core:GCSFileSystem",
        "gcs",
        "GOOGLE_APPLICATION_CREDENTIALS, or the machine's service account",
        "mtime",
        "etag",
        {"requests_timeout": 60},
        {"chunksize": UPLOAD_PART_BYTES},
        ("aiohttp:ClientError", "google.auth.exceptions:TransportError"),
    ),
    "az": Provider(
        "adlfs:AzureBlobFileSystem",
        "azure",
        "AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT_NAME with AZURE_STORAGE_ACCOUNT_KEY or the"
        " machine's identity",
        "last_modified",
        "etag",
        {"connection_timeout": 5, "read_timeout": 15},
        {"max_concurrency": UPLOAD_PARTS},
        ("azure.core.exceptions:ServiceRequestError", "azure.core.exceptions:ServiceResponseError"),
    ),
}

log = logging.getLogger(__name__)
outages = ThrottledLog(log)


class ObjectStoreError(PushMetricsUnavailableError):
    """
    The store is away, or refuses.

    :param is_temporary: Whether the same request may succeed later.
    """

    def __init__(self, message: str, *, is_temporary: bool = False) -> None:
        super().__init__(message, status_code=503, retry_after_seconds=RETRY_AFTER_SECONDS)
        self.is_temporary = is_temporary


@dataclass(frozen=True)
class StoredObject:
    """
    An object in a listing.

    :param name: Its name, relative to the store.
    """

    name: str
    size: int
    modified_on: datetime


def check_object_url(url: str) -> tuple[str, str]:
    """
    Check the URL of a place in object storage.

    :return: Its scheme, and its bucket with the prefix.
    :raises PushMetricsConfigurationError: if it cannot be used. The message never contains the URL.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    known = " or ".join(f"{scheme}://bucket/prefix" for scheme in PROVIDERS)
    if parts.scheme not in PROVIDERS or not parts.netloc:
        raise PushMetricsConfigurationError(
            f"it is not the URL of object storage: it must look like {known}."
        )
    provider = PROVIDERS[parts.scheme]
    if "@" in parts.netloc or ":" in parts.netloc or parts.query or parts.fragment:
        raise PushMetricsConfigurationError(
            f"it must have nothing but a bucket and a prefix, such as {parts.scheme}://bucket/prefix:"
            f" credentials come from {provider.credentials}."
        )
    module = provider.files.partition(":")[0].partition(".")[0]
    if find_spec(module) is None:
        raise PushMetricsConfigurationError(
            f"{parts.scheme}:// needs the module {module!r}, which is not installed: run"
            f" pip install 'airflow-provider-pushmetrics[{provider.extra}]'."
        )
    return parts.scheme, f"{parts.netloc}{parts.path}".rstrip("/")


class ObjectStore:
    """
    The objects under a prefix of a bucket.

    :param files: The file system of fsspec.
    :param root: The bucket and the prefix.
    """

    def __init__(
        self,
        files: Any,
        root: str,
        provider: Provider,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._files = files
        self._root = root
        self._provider = provider
        self._temporary = tuple(resolve_name(name) for name in provider.temporary)
        self._monotonic = monotonic
        self._sleep = sleep
        self._rests_until = 0.0

    @classmethod
    def connect(cls, url: str, **clocks: Callable[..., Any]) -> ObjectStore:
        """
        Prepare the access to a store. Nothing is asked of it yet.

        :param clocks: The rest of the constructor.
        :raises PushMetricsConfigurationError: if the URL cannot be used, or there are no credentials.
        """
        scheme, root = check_object_url(url)
        provider = PROVIDERS[scheme]
        try:
            # Listings are not kept: other processes write and delete.
            options = {**provider.options, "use_listings_cache": False, "skip_instance_cache": True}
            files = resolve_name(provider.files)(**options)
        except Exception as error:  # each library has its own errors, without a common base
            raise PushMetricsConfigurationError(
                f"{scheme}:// cannot be used: {_describe(error)}. Credentials come from"
                f" {provider.credentials}."
            ) from None
        if scheme == "s3":
            files.retries = 1
        elif scheme == "az":
            files.service_client._config.retry_policy.total_retries = 0  # which take 90 s
        return cls(files, root, provider, **clocks)

    def open(self, name: str) -> ObjectFile:
        """
        Open an object; its parts are read when they are needed.

        :raises FileNotFoundError: if there is none.
        :raises ObjectStoreError: if the store does not answer.
        """

        def open_it() -> ObjectFile:
            file = self._files.open(self._locate(name), "rb", cache_type="none")
            return ObjectFile(file, str(file.details.get(self._provider.version, "")), self._read_part)

        return self._read(open_it)

    def upload(self, name: str, path: Path) -> None:
        """
        Upload a file, whole or not at all.

        :raises ObjectStoreError: if it cannot be stored.
        """
        size = path.stat().st_size

        def put() -> None:
            seconds = ATTEMPT_SECONDS + size / SLOWEST_BYTES_PER_SECOND
            self._files.put_file(str(path), self._locate(name), timeout=seconds, **self._provider.upload)
            found = self._files.info(self._locate(name))["size"]
            if found != size:
                raise ConnectionError(errno.EIO, f"{found} of {size} bytes were stored")

        try:
            self._try("write", put, WRITE_SECONDS)
        except FileNotFoundError as error:  # the bucket
            outages.warning("cannot write an object of %s: %s", self, _describe(error))
            raise _build_refusal("write") from None

    def list(self, folder: str = "", *, is_deep: bool = True) -> list[StoredObject]:
        """
        List the objects of a folder.

        :param is_deep: Whether those in its subfolders are listed too.
        :raises ObjectStoreError: if the store does not answer.
        """
        try:
            found = self._try("list", lambda: self._find(folder, is_deep=is_deep), READ_SECONDS)
        except FileNotFoundError:
            return []
        return [
            StoredObject(path.removeprefix(f"{self._root}/"), one["size"], one[self._provider.modified])
            for path, one in found.items()
            if one["type"] == "file"
        ]

    def delete(self, names: Iterable[str]) -> None:
        """
        Delete objects; those that are not there are no error.

        :raises ObjectStoreError: if the store does not answer, or refuses one.
        """
        # One by one: fsspec ignores errors of bulk requests to S3.
        with ThreadPoolExecutor(DELETERS) as pool:
            list(pool.map(self._delete, names))

    def check(self) -> None:
        """
        Write, list, read and delete an object.

        :raises ObjectStoreError: if one of these fails, with the reason.
        """
        folder = f"check-{generate_uid()}"
        path, content = self._locate(f"{folder}/object"), b"pushmetrics"
        steps: Mapping[str, Callable[[], Any]] = {
            "write": lambda: self._files.pipe_file(path, content, timeout=ATTEMPT_SECONDS),
            "list": lambda: self._find(folder)[path],
            "read": lambda: self._files.cat_file(path, start=0, end=len(content)),
            "delete": lambda: self._files.rm_file(path),
        }
        for step, call in steps.items():
            try:
                answer = call()
            except Exception as error:  # each library has its own errors, without a common base
                raise ObjectStoreError(
                    f"{self} does not let this process {step} an object: {_describe(error)}",
                    is_temporary=self._is_temporary(error),
                ) from None
            if step == "read" and answer != content:
                raise ObjectStoreError(f"{self} gives another content than was written")

    def describe_credentials(self) -> str:
        """Name the places of the credentials."""
        return self._provider.credentials

    def __str__(self) -> str:
        """Write its URL, which contains no secret."""
        return f"the object storage {self._root!r}"

    def _locate(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _find(self, folder: str, *, is_deep: bool = True) -> Mapping[str, Mapping[str, Any]]:
        path = self._locate(folder).rstrip("/")
        if not is_deep:
            found = {one["name"]: one for one in self._files.ls(path, detail=True)}
            found.pop(path, None)  # an object with the name of the folder
            return found
        below: Mapping[str, Mapping[str, Any]] = self._files.find(path, detail=True)
        return below

    def _delete(self, name: str) -> None:
        with suppress(FileNotFoundError):
            self._try("delete", lambda: self._files.rm_file(self._locate(name)), READ_SECONDS)

    def _read(self, call: Callable[[], T]) -> T:
        """Read, unless the store was just away."""
        if self._monotonic() < self._rests_until:
            raise _build_away()
        try:
            return self._try("read", call, READ_SECONDS)
        except ObjectStoreError as error:
            if error.is_temporary:
                self._rests_until = self._monotonic() + STORE_REST_SECONDS
            raise

    def _read_part(self, call: Callable[[], bytes]) -> bytes:
        try:
            return self._read(call)
        except FileNotFoundError:
            raise ObjectStoreError("the object was deleted while it was read") from None

    def _try(self, what: str, call: Callable[[], T], seconds: float) -> T:
        """Call the store, again while it is away, and translate its errors."""
        deadline, pause = self._monotonic() + seconds, FIRST_PAUSE_SECONDS
        while True:
            try:
                return call()
            except FileNotFoundError:
                raise
            except Exception as error:  # each library has its own errors, without a common base
                is_temporary = self._is_temporary(error)
                if not is_temporary or self._monotonic() + pause > deadline:
                    outages.warning("cannot %s an object of %s: %s", what, self, _describe(error))
                    raise _build_away() if is_temporary else _build_refusal(what) from None
            self._sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _is_temporary(self, error: Exception) -> bool:
        """Return whether the store is away, so that a repeated request may succeed."""
        status = getattr(error, "status_code", None) or getattr(error, "code", None)
        if isinstance(status, int):
            return status in TEMPORARY_STATUSES
        if isinstance(error, PermissionError | FileNotFoundError | FileExistsError):
            return False
        if type(error) is OSError and error.errno is None:  # a refusal by Google
            return False
        lasts = isinstance(error, OSError) and error.errno in LASTING
        return isinstance(error, self._temporary) or (isinstance(error, OSError) and not lasts)


def _build_away() -> ObjectStoreError:
    return ObjectStoreError("the object storage does not answer: try again", is_temporary=True)


def _build_refusal(what: str) -> ObjectStoreError:
    return ObjectStoreError(
        f"the object storage does not let the service {what} an object: see the service's log"
    )


def _describe(error: Exception) -> str:
    """Describe an error in one line, without credentials."""
    return redact(f"{type(error).__name__}: {' '.join(str(error).split())}")[:300]
