"""The page with the events of PushMetrics, from their models and the examples that the tests read."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

from airflow_provider_pushmetrics.events import EVENT_MODELS, Event
from scripts.docs_site.reference.markdown import build_table, write_code

EXAMPLES = Path(__file__).resolve().parents[3] / "tests" / "vectors" / "events"

ABOUT = """# Events

A webhook's body is one event: a JSON object with its name in `event`. The examples are those of PushMetrics'
documentation. The receiver keeps fields that are not listed, and events with other names.
`airflow_provider_pushmetrics.events.parse_event` reads a body into a model.

- `report.run` says that a run has ended, and not how. The outcome is in the result, which needs the API
  token. The reference service sends it for failed and cancelled runs too.
- A query that runs inside a report sends no `query.run`: its result is in `queries` of `report.run`.

"""


def build_events() -> str:
    """Build the page: each event with its fields and an example."""
    return ABOUT + "".join(describe_event(name, model) for name, model in EVENT_MODELS.items())


def describe_event(name: str, model: type[Event]) -> str:
    """Describe an event."""
    example = json.loads((EXAMPLES / f"{name}.json").read_text("utf-8"))
    rows = [
        [write_code(field), "yes" if one.is_required() else "no", describe_value(example.get(field))]
        for field, one in model.model_fields.items()
    ]
    text = json.dumps(example, indent=2, ensure_ascii=False)
    about = (inspect.getdoc(model) or "").partition("\n\n")[0]
    table = build_table(["field", "required", "type"], rows)
    return f"## `{name}`\n\n{about}\n\n{table}```json\n{text}\n```\n\n"


def describe_value(value: object) -> str:
    """Describe the type of a field by its value in the example."""
    kinds = {str: "text", int: "integer", list: "array of objects", type(None): "text"}
    return kinds[type(value)]
