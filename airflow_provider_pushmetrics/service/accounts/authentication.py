"""API tokens and the JWTs that they are exchanged for: generating, verifying and finding them."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import jwt
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from airflow_provider_pushmetrics.service.accounts.members import find_membership
from airflow_provider_pushmetrics.service.accounts.roles import Role
from airflow_provider_pushmetrics.service.models import ApiToken, EndedSession, User
from airflow_provider_pushmetrics.service.storage.clock import Clock, get_now
from airflow_provider_pushmetrics.service.storage.database import Database
from airflow_provider_pushmetrics.service.storage.encryption import Cipher

if TYPE_CHECKING:
    from jwt.types import Options

TOKEN_PREFIX = "pmpat_"  # noqa: S105 (a prefix)
TOKEN_BYTES = 32
JWT_ALGORITHM = "HS256"
JWT_OPTIONS: Options = {"require": ["exp", "sub"], "verify_exp": False, "verify_iat": False}
SESSION_SECONDS = 12 * 3600
"""How long a browser's session can be renewed before its user must sign in again."""

LOGIN_PRECISION = timedelta(minutes=1)

SESSION_END = "session_until"
"""The claim that only the JWT of a browser's session has."""

SESSION_ID = "sid"

URL_SAFE = re.compile(r"[A-Za-z0-9._~\-]{16,256}\Z")
"""The format of a token that a user chose: it must be URL-safe."""


@dataclass(frozen=True)
class Principal:
    """The caller: a token's user, in the workspace that the token is bound to, and their role there."""

    token_id: int
    user_id: int
    workspace_id: int
    role: Role


def generate_api_token() -> str:
    """Generate a personal API token, URL-safe, of 256 random bits."""
    return TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)


def generate_trigger_token() -> str:
    """Generate a trigger token, URL-safe, of 256 random bits."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def hash_token(token: str) -> str:
    """Compute the stored hash of a token. The token is random, so a fast hash is enough."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def is_same_hash(first: str, second: str) -> bool:
    """Compare two hashes in constant time."""
    return hmac.compare_digest(first.encode("ascii"), second.encode("ascii"))


class Authenticator:
    """
    Finds the user of a token or session.

    :param database: The database with the tokens.
    :param cipher: Signs the JWTs.
    :param lifetime_seconds: How long a JWT is valid.
    """

    def __init__(
        self, database: Database, cipher: Cipher, lifetime_seconds: int, *, clock: Clock = get_now
    ) -> None:
        self._database = database
        self._keys = cipher.jwt_keys
        self._clock = clock
        self.lifetime_seconds = lifetime_seconds

    def find_principal(self, token: str | None) -> Principal | None:
        """Find the user of a Bearer token, an API token or a JWT; None if it is invalid."""
        if token is None:
            return None
        claims = self._read_jwt(token)
        with self._database.reading() as session:
            if claims is None:
                return self._accept(session, _find_token(session, token))
            if SESSION_END in claims:
                return None  # valid only in the session cookie
            return self._accept(session, session.get(ApiToken, int(claims["token_id"])))

    def find_token_owner(self, token: str | None) -> Principal | None:
        """Find the user of an API token; a JWT is rejected, so it cannot be prolonged."""
        if token is None:
            return None
        with self._database.reading() as session:
            return self._accept(session, _find_token(session, token))

    def record_login(self, principal: Principal) -> None:
        """Record the time of a login, at most once a minute: writing is more expensive than reading."""
        now = self._clock()
        with self._database.reading() as session:
            last = session.scalar(select(User.last_login).where(User.id == principal.user_id))
        if last is None or now - last >= LOGIN_PRECISION:
            with self._database.writing() as session:
                session.execute(update(User).where(User.id == principal.user_id).values(last_login=now))

    def issue_jwt(self, principal: Principal) -> str:
        return self._sign(principal, self._read_clock() + self.lifetime_seconds)

    def open_session(self, principal: Principal) -> str:
        """Issue the JWT of a browser's session; it can be renewed for some hours."""
        now = self._read_clock()
        claims = {SESSION_END: now + SESSION_SECONDS, SESSION_ID: secrets.token_urlsafe(16)}
        return self._sign(principal, now + self.lifetime_seconds, claims)

    def find_session(self, token: str | None) -> Principal | None:
        """Find the user of a session's JWT; None if it is invalid, not a session's, or ended."""
        claims = self._read_jwt(token or "")
        if claims is None or SESSION_END not in claims:
            return None
        with self._database.reading() as session:
            if _has_ended(session, claims):
                return None
            return self._accept(session, session.get(ApiToken, int(claims["token_id"])))

    def end_session(self, token: str | None) -> None:
        """End a session, including all JWTs that were issued for it, also by one that has expired."""
        claims = self._decode(token or "")
        if claims is None or SESSION_END not in claims:
            return
        until = datetime.fromtimestamp(claims[SESSION_END], UTC)
        with suppress(IntegrityError), self._database.writing() as session:  # another request has ended it
            session.execute(delete(EndedSession).where(EndedSession.until < self._clock()))
            if not _has_ended(session, claims):
                session.add(EndedSession(sid=claims[SESSION_ID], until=until))

    def renew_session(self, token: str | None) -> str | None:
        """Issue the next JWT of a session, which does not outlast it; None if it has ended."""
        principal, claims = self.find_session(token), self._read_jwt(token or "")
        if principal is None or claims is None:
            return None
        expires = min(self._read_clock() + self.lifetime_seconds, int(claims[SESSION_END]))
        return self._sign(principal, expires, {name: claims[name] for name in (SESSION_END, SESSION_ID)})

    def _sign(self, principal: Principal, expires: int, more: Mapping[str, Any] | None = None) -> str:
        claims = {
            "sub": str(principal.user_id),
            "token_id": principal.token_id,
            "workspace_id": principal.workspace_id,
            "iat": self._read_clock(),
            "exp": expires,
            **(more or {}),
        }
        return jwt.encode(claims, self._keys[0], algorithm=JWT_ALGORITHM)

    def _read_clock(self) -> int:
        return int(self._clock().timestamp())

    def _read_jwt(self, token: str) -> Mapping[str, Any] | None:
        claims = self._decode(token)
        # The time is compared here and not in the library, so that this object's clock is used.
        if claims is None or claims["exp"] <= self._clock().timestamp():
            return None
        return claims

    def _decode(self, token: str) -> Mapping[str, Any] | None:
        """Read the claims of a JWT of this service, also of one that has expired."""
        if token.count(".") != 2:
            return None
        claims: dict[str, Any] | None = None
        for key in self._keys:
            with suppress(jwt.InvalidTokenError, ValueError, RecursionError):
                claims = jwt.decode(token, key, algorithms=[JWT_ALGORITHM], options=JWT_OPTIONS)
                break
        return claims

    def _accept(self, session: Session, row: ApiToken | None) -> Principal | None:
        if row is None or row.revoked_on is not None:
            return None
        if row.expires_on is not None and row.expires_on <= self._clock():
            return None
        membership = find_membership(session, row.user_id, row.workspace_id)
        if membership is None:
            return None
        return Principal(
            token_id=row.id,
            user_id=row.user_id,
            workspace_id=row.workspace_id,
            role=Role(membership.role),
        )


def _find_token(session: Session, token: str) -> ApiToken | None:
    return session.scalar(select(ApiToken).where(ApiToken.token_hash == hash_token(token)))


def _has_ended(session: Session, claims: Mapping[str, Any]) -> bool:
    ended = select(EndedSession.id).where(EndedSession.sid == claims[SESSION_ID])
    return session.scalar(ended) is not None
