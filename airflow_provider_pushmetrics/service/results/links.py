"""Links to results in events and answers of the API."""

from __future__ import annotations


class ResultLinks:
    """
    Links to results.

    :param base_url: The beginning of the links.
    """

    def __init__(self, base_url: str) -> None:
        self._base = f"{base_url}/api/reports"

    def link_outputs(self, report_id: int, run_id: int) -> str:
        return f"{self._base}/{report_id}/run/{run_id}"

    def link_query_in_report(self, report_id: int, query_id: int, run_id: int) -> str:
        return f"{self._base}/{report_id}/queries/{query_id}/reportRun/{run_id}"

    def link_query(self, report_id: int, query_id: int, query_run_id: int) -> str:
        return f"{self._base}/{report_id}/queries/{query_id}/run/{query_run_id}"
