"""A stand-in for PushMetrics at the wire: the test sets what it answers, and it keeps what it was asked."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from tests.fakes.inbox import FakeInbox

API_TOKEN = "api-token-0123456789+/="
TRIGGER_TOKEN = "trigger-token-0123456789+/="
FINISHED = ("success", "failed", "cancelled")


@dataclass(frozen=True)
class SeenRequest:
    """A request as it arrived, with its path as it was written."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class FakeRun:
    """
    A report run.

    :param looks: How often it still answers that it is unfinished.
    :param late_lists: How many requests for the list of runs still do not show it.
    """

    id: int
    report_id: str
    parameters: dict[str, Any]
    status: str = "success"
    looks: int = 0
    late_lists: int = 0

    def look(self) -> str:
        if self.looks > 0:
            self.looks -= 1
            return "running"
        return self.status


@dataclass
class FakePushMetrics:
    """
    The API of PushMetrics, as far as the provider uses it, with the receiver mounted at ``/pushmetrics``.

    :param url: Where it is served.
    :param outcomes: How the runs end that are started from now on; the last one stands for all further ones.
    :param looks: How often each of them answers that it is unfinished.
    :param names_runs: Whether the trigger answers with the run's id, which the real product does not do.
    :param honors_keys: Whether an Idempotency-Key gives the same run again.
    :param describes_keys: Whether its OpenAPI description says that it honors such keys.
    :param drops_answers: How many calls of the trigger from now on start a run and get no answer of its own.
    :param answers_with_page: Whether a page in front of it hides what the trigger answers.
    :param swallows_calls: How many of them start no run at all.
    :param retry_after: What it then asks for with ``Retry-After``; None for nothing.
    :param marks_replays: Whether it says so in a header.
    :param delivers: Whether a run that is over is told to the receiver.
    :param url_query: The query of the URL of a run's outputs in its event; the real product documents none.
    :param other_sender: The URL of another PushMetrics with the same reports, which tells the same receiver
        of a run with the same number just before.
    :param bystanders: How many runs others start at the same moment.
    :param late_lists: How many requests for the list of runs do not show the run of a trigger call yet.
    :param hides_runs: Whether the list of runs stays empty.
    :param filters_runs: Whether the list of runs can be limited to one report.
    :param names_report: By which of these a run names its report.
    :param outputs_name_report: Whether its outputs do.
    :param outputs_say_status: Whether the outputs of a run say how it ended.
    :param can_cancel: Whether runs can be cancelled, which the real product does not document.
    :param max_run_page_size: How many runs it gives on a page at most.
    :param list_answers: What it answers to the next requests for the list of runs.
    :param run_answers: What it answers in place of a run.
    :param outputs_answers: What it answers in place of the outputs of a run.
    :param pending_outputs: The runs whose outputs are not available yet.
    :param shows_parameters: Whether a run shows its parameters.
    :param reports: How many reports there are.
    :param max_page_size: How many of them it gives on a page at most.
    :param shows_webhooks: Whether the API shows the trigger to who has an API token.
    :param webhooks: How many triggers there are, one for each report, in the order of the reports.
    :param is_trigger_active: Whether the trigger is enabled.
    :param report_parameters: The Parameter blocks of each report; None if it does not list blocks.
    :param row_limit: The limit that cut each query's result; None if each has all rows.
    :param tells_truncation: Whether it says of each result if rows are missing.
    :param has_queries: Whether the runs have queries.
    :param query_names: The names of their queries, whose numbers begin at 1.
    :param api_outages: How many requests for the outputs of a run are answered 503 from now on.
    :param page_status: With which status a proxy answers with a page in place of runs and outputs; None if
        it does not.
    :param pages_after: With which statuses a proxy answers the next such requests with a page, once a run was
        shown with a status.
    :param always_replays: A run that is given for every key, as a broken server might.
    """

    url: str
    outcomes: list[str] = field(default_factory=lambda: ["success"])
    looks: int = 0
    names_runs: bool = True
    honors_keys: bool = True
    describes_keys: bool = False
    drops_answers: int = 0
    answers_with_page: bool = False
    swallows_calls: int = 0
    retry_after: str | None = None
    marks_replays: bool = True
    delivers: bool = True
    api_token: str = API_TOKEN
    trigger_token: str = TRIGGER_TOKEN
    url_query: str = ""
    other_sender: str | None = None
    bystanders: int = 0
    late_lists: int = 0
    hides_runs: bool = False
    filters_runs: bool = True
    names_report: tuple[str, ...] = ("report_id", "report_uid")
    outputs_name_report: bool = True
    outputs_say_status: bool = True
    can_cancel: bool = True
    max_run_page_size: int = 5000
    list_answers: list[Response] = field(default_factory=list)
    run_answers: dict[int, Response] = field(default_factory=dict)
    outputs_answers: dict[int, Response] = field(default_factory=dict)
    pending_outputs: set[int] = field(default_factory=set)
    shows_parameters: bool = True
    reports: int = 1
    max_page_size: int = 100
    shows_webhooks: bool = True
    webhooks: int = 1
    is_trigger_active: bool = True
    report_parameters: tuple[str, ...] | None = ("origin", "month")
    row_limit: int | None = None
    tells_truncation: bool = True
    has_queries: bool = True
    query_names: tuple[str, ...] = ("by_carrier",)
    api_outages: int = 0
    page_status: int | None = None
    pages_after: dict[str, list[int]] = field(default_factory=dict)
    always_replays: FakeRun | None = None
    runs: list[FakeRun] = field(default_factory=list)
    seen: list[SeenRequest] = field(default_factory=list)
    inbox: FakeInbox = field(default_factory=FakeInbox)
    results: dict[str, Response] = field(default_factory=dict)
    _pages: list[int] = field(default_factory=list)
    _runs_by_key: dict[str, FakeRun] = field(default_factory=dict)

    def build_app(self) -> Starlette:
        """Build the ASGI application."""
        run, query = "/api/reports/{report}/run/{run:int}", "/api/reports/{report}/queries/{query:int}"
        return Starlette(
            routes=[
                Route("/api/v1/report/{report:path}/webhook", self._trigger, methods=["GET", "POST"]),
                Route("/api/v1/noteflow_run/", self._list_runs),
                Route("/api/v1/noteflow_run/{run:int}", self._show_run),
                Route("/api/v1/noteflow_run/{run:int}/cancel", self._cancel_run, methods=["POST"]),
                Route("/api/v1/noteflow_run/{run:int}/get_task_results", self._show_blocks),
                Route("/api/v1/noteflow_run_log/", self._show_log),
                Route("/api/v1/report/", self._list_reports),
                Route("/api/v1/report/{report}", self._show_report),
                Route("/api/v1/webhook/", self._list_webhooks),
                Route("/api/v1/webhook/{webhook:int}", self._show_webhook),
                Route("/api/v1/user/current", self._show_user),
                Route("/openapi.json", self._describe),
                Route("/api/v1/security/exchange", self._exchange, methods=["POST"]),
                Route(run, self._show_outputs),
                Route(query + "/reportRun/{run:int}", self._show_result, methods=["GET", "POST"]),
                Route(query + "/run/{run:int}", self._show_result, methods=["GET", "POST"]),
                Mount("/pushmetrics", self.inbox.build_app()),
                Route("/{anything:path}", self._echo, methods=["GET", "POST", "PUT"]),
            ]
        )

    @property
    def triggered(self) -> list[SeenRequest]:
        """The calls of the trigger."""
        return [request for request in self.seen if request.path.endswith("/webhook")]

    @property
    def keys(self) -> list[str | None]:
        """The Idempotency-Key of each call of the trigger."""
        return [request.headers.get("idempotency-key") for request in self.triggered]

    def start_run(self, report_id: str = "1", parameters: dict[str, Any] | None = None) -> FakeRun:
        """Start a run, which ends at once unless ``looks`` says otherwise, and tell the receiver."""
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        run = FakeRun(len(self.runs) + 1, report_id, parameters or {}, outcome, self.looks)
        self.runs.append(run)
        if self.other_sender:
            self.inbox.add(replace(self, url=self.other_sender).build_event(run))
        if self.delivers and outcome in FINISHED:
            self.inbox.add(self.build_event(run))
        return run

    def build_event(self, run: FakeRun) -> dict[str, Any]:
        """Build the event of a run."""
        base = f"{self.url}/api/reports/{run.report_id}"
        return {
            "event": "report.run",
            "report_id": int(run.report_id) if run.report_id.isdigit() else 1,
            "report_name": "Departure delays",
            "workspace_id": 1,
            "workspace_name": "Main Workspace",
            "report_notebook_outputs": f"{base}/run/{run.id}{self.url_query}",
            "queries": [
                {"query_id": 1, "query_name": "by_carrier", "query_result": self.build_result_url(run)}
            ],
            "timestamp": "2026-01-01T00:00:00+00:00",
        }

    def build_result_url(self, run: FakeRun, query: int = 1) -> str:
        """Build the URL of the result of a run's query."""
        return f"{self.url}/api/reports/{run.report_id}/queries/{query}/reportRun/{run.id}"

    async def _see(self, request: Request) -> SeenRequest:
        seen = SeenRequest(
            request.method,
            request.scope["raw_path"].decode(),
            dict(request.query_params),
            dict(request.headers),
            await request.body(),
        )
        self.seen.append(seen)
        return seen

    async def _trigger(self, request: Request) -> Response:
        seen = await self._see(request)
        if seen.query.get("token") != self.trigger_token:
            return JSONResponse({"message": "The report is unknown or the token is not valid"}, 401)
        if not self.is_trigger_active:
            return JSONResponse({"message": "This webhook is disabled"}, 403)
        if self.swallows_calls > 0:
            self.swallows_calls -= 1
            return self._build_outage()
        key = seen.headers.get("idempotency-key")
        earlier = self.always_replays or (self._runs_by_key.get(key) if key and self.honors_keys else None)
        if earlier and not self.always_replays and earlier.parameters != seen.json:
            return JSONResponse({"message": "This key was used before with other parameters"}, 409)
        run = earlier or self.start_run(request.path_params["report"], seen.json)
        run.late_lists = self.late_lists
        for _ in range(self.bystanders):
            self.start_run(run.report_id)
        if key:
            self._runs_by_key[key] = run
        if self.drops_answers > 0:
            self.drops_answers -= 1
            return self._build_outage()
        if self.answers_with_page:
            return Response("<html>Welcome</html>", media_type="text/html")
        headers = {"Idempotency-Replayed": "true"} if earlier and self.marks_replays else {}
        named = {"run_id": run.id} if self.names_runs else {}
        return JSONResponse({"success": True, **named}, headers=headers)

    def _build_outage(self) -> Response:
        if self.retry_after is None:
            return Response("Gateway Timeout", 504)
        return Response("Maintenance", 503, {"Retry-After": self.retry_after})

    def _refuse(self, seen: SeenRequest) -> Response | None:
        if seen.headers.get("authorization") in (f"Bearer {self.api_token}", "Bearer jwt.of.token"):
            return None
        return JSONResponse({"message": "Not authorized"}, 401)

    async def _exchange(self, request: Request) -> Response:
        seen = await self._see(request)
        if seen.headers.get("authorization") != f"Bearer {self.api_token}":
            return JSONResponse({"message": "Not authorized"}, 401)
        return JSONResponse({"access_token": "jwt.of.token", "expires_in": 900})

    async def _list_runs(self, request: Request) -> Response:
        seen = await self._see(request)
        if (of_proxy := self._find_page()) is not None:
            return of_proxy
        if self.list_answers:
            return self.list_answers.pop(0)
        found = re.search(r"page:(\d+),page_size:(\d+)", seen.query["q"])
        assert found is not None
        page, size = int(found[1]), min(int(found[2]), self.max_run_page_size)
        rows = [
            {"id": run.id, "status": run.status, **self._name_report(run)}
            for run in sorted(self.runs, key=lambda run: -run.id)
            if self._is_listed(run, seen.query.get("report_uid"))
        ]
        shown = {"count": len(rows), "result": rows[page * size :][:size]}
        return self._refuse(seen) or JSONResponse(shown)

    def _find_page(self) -> Response | None:
        status = self._pages.pop(0) if self._pages else self.page_status
        return None if status is None else Response("<html>Back soon</html>", status, media_type="text/html")

    def _is_listed(self, run: FakeRun, report: str | None) -> bool:
        if run.late_lists > 0:
            run.late_lists -= 1
            return False
        is_wanted = report in (None, run.report_id, f"rEp{run.report_id}") or not self.filters_runs
        return is_wanted and not self.hides_runs

    def _name_report(self, run: FakeRun) -> dict[str, Any]:
        names = {"report_id": int(run.report_id), "report_uid": f"rEp{run.report_id}"}
        return {name: names[name] for name in self.names_report}

    async def _show_run(self, request: Request) -> Response:
        seen, run = await self._see(request), self._find_run(request)
        if refusal := self._refuse(seen):
            return refusal
        if (of_proxy := self._find_page()) is not None:
            return of_proxy
        if run is None:
            return JSONResponse({"message": "Not found"}, 404)
        if run.id in self.run_answers:
            return self.run_answers[run.id]
        shown = {"id": run.id, "status": run.look(), **self._name_report(run)}
        self._pages += self.pages_after.pop(str(shown["status"]), [])
        if self.shows_parameters:
            shown["parameters"] = run.parameters
        return JSONResponse({"result": shown})

    async def _show_blocks(self, request: Request) -> Response:
        seen = await self._see(request)
        row = {"block_uid": "bL3", "name": "by_carrier", "type": "sql", "status": "not_run", "row_count": 12}
        return self._refuse(seen) or JSONResponse({"result": [row]})

    async def _show_log(self, request: Request) -> Response:
        seen = await self._see(request)
        row = {"uid": "l1", "message": "Block by_carrier began", "effective_level": "INFO"}
        return self._refuse(seen) or JSONResponse({"count": 1, "result": [row]})

    async def _list_reports(self, request: Request) -> Response:
        seen = await self._see(request)
        found = re.fullmatch(r"\(page:(\d+),page_size:(\d+)\)", seen.query["q"])
        assert found is not None
        size = min(int(found[2]), self.max_page_size)
        rows = [self._build_report(number) for number in range(1, self.reports + 1)]
        page = rows[int(found[1]) * size :][:size]
        return self._refuse(seen) or JSONResponse({"count": len(rows), "result": page})

    async def _show_report(self, request: Request) -> Response:
        seen = await self._see(request)
        rows = [self._build_report(number) for number in range(1, self.reports + 1)]
        found = [
            {**row, **self._list_blocks()}
            for row in rows
            if request.path_params["report"] in (str(row["id"]), row["uid"])
        ]
        missing = JSONResponse({"message": "Not found"}, 404)
        return self._refuse(seen) or (JSONResponse({"result": found[0]}) if found else missing)

    def _list_blocks(self) -> dict[str, Any]:
        if self.report_parameters is None:
            return {}
        parameters = [{"name": name, "type": "parameter"} for name in self.report_parameters]
        return {"blocks": [*parameters, {"name": "by_carrier", "type": "sql"}]}

    def _build_report(self, number: int) -> dict[str, Any]:
        return {"id": number, "uid": f"rEp{number}", "name": "Departure delays", "type": "report"}

    async def _list_webhooks(self, request: Request) -> Response:
        seen = await self._see(request)
        found = re.fullmatch(r"\(page:(\d+),page_size:(\d+)\)", seen.query["q"])
        assert found is not None
        size = min(int(found[2]), self.max_page_size)
        rows = [{"id": number} for number in range(1, self.webhooks + 1)] if self.shows_webhooks else []
        page = rows[int(found[1]) * size :][:size]
        return self._refuse(seen) or JSONResponse({"count": len(rows), "result": page})

    async def _show_webhook(self, request: Request) -> Response:
        seen = await self._see(request)
        number = request.path_params["webhook"]
        row = {
            "id": number,
            "report_id": number,
            "token": self.trigger_token,
            "active": self.is_trigger_active,
        }
        return self._refuse(seen) or JSONResponse({"id": number, "result": row})

    async def _cancel_run(self, request: Request) -> Response:
        seen, run = await self._see(request), self._find_run(request)
        if refusal := self._refuse(seen):
            return refusal
        if run is None or not self.can_cancel:
            return JSONResponse({"message": "Not found"}, 404)
        if run.status in FINISHED:
            return JSONResponse({"message": f"The run has ended: {run.status}"}, 409)
        run.status = "cancelled"
        return JSONResponse({"result": {"id": run.id, "status": run.status}})

    async def _describe(self, request: Request) -> Response:
        await self._see(request)
        if not self.describes_keys:
            return JSONResponse({"message": "Not found"}, 404)
        parameters = [{"name": "idempotency-key", "in": "header"}]
        return JSONResponse(
            {"paths": {"/api/v1/report/{report}/webhook": {"post": {"parameters": parameters}}}}
        )

    async def _show_user(self, request: Request) -> Response:
        seen = await self._see(request)
        return self._refuse(seen) or JSONResponse({"email": "ada@example.com"})

    async def _show_outputs(self, request: Request) -> Response:
        seen, run = await self._see(request), self._find_run(request)
        if refusal := self._refuse(seen):
            return refusal
        if run is None:
            return JSONResponse({"message": "Not found"}, 404)
        if (of_proxy := self._find_page()) is not None:
            return of_proxy
        if self.api_outages > 0:
            self.api_outages -= 1
            return JSONResponse({"message": "Maintenance"}, 503, {"Retry-After": "0"})
        if run.id in self.outputs_answers:
            return self.outputs_answers[run.id]
        if run.id in self.pending_outputs:
            return JSONResponse({"message": "The run is going on"}, 202)
        outputs = self._build_outputs(run)
        return JSONResponse(outputs if self.outputs_say_status else {**outputs, "status": None})

    def _build_outputs(self, run: FakeRun) -> dict[str, Any]:
        has_failed = run.status == "failed"
        error = "division by zero" if has_failed else None
        return {
            "report_id": int(run.report_id) if self.outputs_name_report else None,
            "run_id": run.id,
            "status": run.status,
            "blocks": [
                {"block_id": 3, "name": "by_carrier", "type": "sql", "status": run.status, "error": error},
            ],
            "queries": [
                {
                    "query_id": number,
                    "query_name": name,
                    "query_result": self.build_result_url(run, number),
                    "status": run.status,
                    "row_count": None if has_failed else 12,
                    "error": error,
                    **self._describe_truncation(),
                }
                for number, name in enumerate(self.query_names, 1)
                if self.has_queries
            ],
        }

    async def _show_result(self, request: Request) -> Response:
        seen = await self._see(request)
        if refusal := self._refuse(seen):
            return refusal
        if (written := self.results.get(request.url.path)) is not None:
            return written
        accept = seen.headers["accept"]
        missing = JSONResponse({"message": f"no result is written down for {accept}"}, 406)
        answer = self.results.get(f"{request.method} {accept}") or self.results.get(accept) or missing
        if not isinstance(answer, Response):
            return answer  # an ASGI app of a test's own, with headers of its own
        del answer.headers["X-PushMetrics-Truncated"]  # of an earlier answer
        if self.tells_truncation:
            answer.headers["X-PushMetrics-Truncated"] = "false" if self.row_limit is None else "true"
        if self.row_limit is not None:
            answer.headers["X-PushMetrics-Row-Limit"] = str(self.row_limit)
        return answer

    def _describe_truncation(self) -> dict[str, Any]:
        if not self.tells_truncation:
            return {}
        return {"is_truncated": self.row_limit is not None, "row_limit": self.row_limit}

    async def _echo(self, request: Request) -> Response:
        await self._see(request)
        return self.results.get(request.url.path, JSONResponse({"message": "Not found"}, 404))

    def _find_run(self, request: Request) -> FakeRun | None:
        return next((run for run in self.runs if run.id == request.path_params["run"]), None)
