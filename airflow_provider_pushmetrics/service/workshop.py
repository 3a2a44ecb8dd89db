"""All that a process which executes has beside the parts that a server has too."""

from __future__ import annotations

from airflow_provider_pushmetrics.service.database import Database
from airflow_provider_pushmetrics.service.datasources.registry import SourceRegistry
from airflow_provider_pushmetrics.service.deadlines import DeadlineNetwork
from airflow_provider_pushmetrics.service.delivery import Courier
from airflow_provider_pushmetrics.service.egress import GuardedNetwork, GuardedTransport
from airflow_provider_pushmetrics.service.encryption import Vault
from airflow_provider_pushmetrics.service.engine import Engine
from airflow_provider_pushmetrics.service.events import ResultLinks
from airflow_provider_pushmetrics.service.execution import RunExecutor
from airflow_provider_pushmetrics.service.notifications.mail import Mailer
from airflow_provider_pushmetrics.service.notifications.outgoing import Postman
from airflow_provider_pushmetrics.service.notifications.slack import SlackMessenger
from airflow_provider_pushmetrics.service.results.cleanup import Housekeeper
from airflow_provider_pushmetrics.service.results.store import ResultStore
from airflow_provider_pushmetrics.service.settings import ServiceSettings
from airflow_provider_pushmetrics.service.timekeeper import Timekeeper


class Workshop:
    """
    Executes runs and deliveries in this process, and does what is due by the clock.

    :param executor_id: The name under which it executes, and under which what it leaves behind is found.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        executor_id: str,
        database: Database,
        vault: Vault,
        results: ResultStore,
        sources: SourceRegistry,
    ) -> None:
        self._courier = Courier(
            database, vault, settings.delivery_timeout_seconds, transport=_open_transport(settings)
        )
        executor = RunExecutor(
            database,
            sources,
            results,
            ResultLinks(settings.base_url),
            limits=settings.query_limits,
            has_slack=settings.slack is not None,
        )
        self._engine = Engine(settings, executor_id, database, executor, self._courier)
        self._timekeeper = Timekeeper(
            database,
            self._engine.wake,
            Postman(database, None if settings.smtp is None else Mailer(settings.smtp), results),
            None if settings.slack is None else SlackMessenger(settings.slack),
        )
        self._housekeeper = Housekeeper(results, settings.result_retention_days)

    def start(self) -> None:
        """Begin, with what was left behind first."""
        self._engine.start()
        self._timekeeper.start()
        self._housekeeper.start()

    def stop(self) -> bool:
        """
        Stop.

        :return: Whether all work had ended. If not, the process must end now; the work goes on at the next
            start.
        """
        has_sent = self._timekeeper.stop()
        self._housekeeper.stop()
        if not self._engine.stop() or not has_sent:
            return False  # what still runs must not find its client closed, and record that as its failure
        self._courier.close()
        return True

    def wake(self) -> None:
        """Say that something was committed that must happen."""
        self._engine.wake()

    def is_alive(self) -> bool:
        """Tell that it works, as long as this process does."""
        return True


def _open_transport(settings: ServiceSettings) -> GuardedTransport:
    rules = settings.egress_rules
    return GuardedTransport(rules, network=GuardedNetwork(rules, network=DeadlineNetwork()))
