"""The credentials of one demo: made again each time, and good for nothing else."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

AIRFLOW_USER = "admin"


@dataclass(frozen=True)
class DemoCredentials:
    """
    What the parts of the demo identify themselves with.

    :param api_token: PushMetrics' API token, of the shape of a personal access token.
    :param reader_token: What a reader of the receiver's events shows.
    :param airflow_password: The password of Airflow's one user.
    :param airflow_jwt_secret: What Airflow signs its own tokens with.
    """

    api_token: str = field(repr=False)
    reader_token: str = field(repr=False)
    airflow_password: str = field(repr=False)
    airflow_jwt_secret: str = field(repr=False)

    @classmethod
    def generate(cls) -> DemoCredentials:
        """Make new ones, of 256 random bits or more where a machine uses them."""
        return cls(
            api_token="pmpat_" + secrets.token_urlsafe(36),
            reader_token=secrets.token_urlsafe(32),
            airflow_password=secrets.token_urlsafe(12),
            airflow_jwt_secret=secrets.token_urlsafe(64),
        )


@dataclass(frozen=True)
class ReportAccess:
    """
    What the service gave for one report.

    :param report_id: The report.
    :param trigger_token: What its trigger's URL carries.
    :param signing_secret: What its webhooks are signed with.
    """

    report_id: str
    trigger_token: str = field(repr=False)
    signing_secret: str = field(repr=False)
