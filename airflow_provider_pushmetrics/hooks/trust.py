"""The trusted servers: the same for ``requests`` on a worker and for ``aiohttp`` in the triggerer."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from certifi import where

from airflow_provider_pushmetrics.exceptions import PushMetricsConfigurationError
from airflow_provider_pushmetrics.hooks.settings import TransportSettings

CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
"""The first one that is set is used, if the connection has none and ``trust_env`` is not false."""


def resolve_verify(transport: TransportSettings, environ: Mapping[str, str] = os.environ) -> bool | str:
    """
    Resolve how the server's certificate is verified: False for not at all, else a file or a folder of CAs.

    :raises PushMetricsConfigurationError: if the configured file does not exist or contains no CA.
    """
    if transport.verify is False:
        return False
    path, source = find_bundle(transport, environ)
    _load(path, source)
    return path


def build_context(transport: TransportSettings, environ: Mapping[str, str] = os.environ) -> ssl.SSLContext:
    """
    Build the context with which ``aiohttp`` verifies the server's certificate.

    :raises PushMetricsConfigurationError: if a configured file cannot be used.
    """
    path, source = (None, "") if transport.verify is False else find_bundle(transport, environ)
    return _load(path, source, transport.cert)


def check_client_certificate(transport: TransportSettings) -> None:
    """
    Check that the client certificate can be used.

    :raises PushMetricsConfigurationError: if not.
    """
    if transport.cert is not None:
        _load(None, "", transport.cert)


def find_bundle(transport: TransportSettings, environ: Mapping[str, str] = os.environ) -> tuple[str, str]:
    """Find the CAs, and where they are configured."""
    if isinstance(transport.verify, str):
        return transport.verify, "the connection's extra 'verify'"
    for name in CA_VARIABLES if transport.trust_env else ():
        if environ.get(name):
            return environ[name], f"the environment variable {name}"
    return where(), "the package certifi"


def _load(path: str | None, source: str, cert: str | None = None) -> ssl.SSLContext:
    return _load_files(path, source, cert, *(_find_change(name) for name in (path, cert)))


def _find_change(path: str | None) -> int | None:
    """Find when a file was changed, so that a cached context is loaded again."""
    try:
        return None if path is None else Path(path).stat().st_mtime_ns
    except OSError:
        return None


@lru_cache(maxsize=16)
def _load_files(path: str | None, source: str, cert: str | None, *changed_at: int | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=where()) if path is None else _load_bundle(path, source)
    if path is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if cert is not None:
        try:
            context.load_cert_chain(cert)
        except OSError as error:  # ssl.SSLError is one
            raise PushMetricsConfigurationError(
                f"the connection's extra 'cert' is {cert!r}, which cannot be used: {_describe(error)}. It"
                " must be a PEM file with a certificate and its key."
            ) from None
    return context


def _load_bundle(path: str, source: str) -> ssl.SSLContext:
    try:
        if Path(path).is_dir():
            return ssl.create_default_context(capath=path)
        return ssl.create_default_context(cafile=path)
    except OSError as error:  # ssl.SSLError is one
        raise PushMetricsConfigurationError(
            f"{source} names {path!r}, which cannot be used: {_describe(error)}. It must be a PEM file with"
            " the certificates of CAs, or a folder of them."
        ) from None


def _describe(error: OSError) -> str:
    return error.strerror or type(error).__name__
