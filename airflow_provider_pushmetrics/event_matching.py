"""
Which events match which filter.

The receiver's feed, the client and the triggers use the same filter and the same index, so that a wait
matches exactly the events that the feed returns for its filter.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from airflow_provider_pushmetrics.event_ids import read_event_ids

MemberT = TypeVar("MemberT")


class EventFacts(Protocol):
    """The facts of an event that filters compare."""

    @property
    def source(self) -> str | None: ...
    @property
    def event(self) -> str | None: ...
    @property
    def report_id(self) -> int | None: ...
    @property
    def query_id(self) -> int | None: ...
    @property
    def run_id(self) -> int | None: ...


@dataclass(frozen=True)
class Subject:
    """The facts of an event; None for a missing one."""

    source: str | None
    event: str | None
    report_id: int | None
    query_id: int | None
    run_id: int | None


@dataclass(frozen=True)
class EventFilter:
    """
    A filter of events; None matches any.

    :param event: The event's name, such as ``report.run``.
    :param report_id: The report's number.
    :param query_id: The query's number; events of reports have none.
    :param run_id: The number of the report run or, in a ``query.run``, of the query run.
    :param source: The sender, as the receiver names it.
    """

    event: str | None = None
    report_id: int | None = None
    query_id: int | None = None
    run_id: int | None = None
    source: str | None = None

    def get_wanted(self) -> dict[str, str | int]:
        """Get the facts that must match, by name."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def matches(self, subject: EventFacts) -> bool:
        """Return whether an event matches, as the inbox's database does."""
        return all(getattr(subject, name) == value for name, value in self.get_wanted().items())


class FilterIndex(Generic[MemberT]):
    """
    Members indexed by their filters; finding those of an event costs the same for any number of members.

    The filters of the same facts form a group with an index of the values. Not thread-safe.
    """

    def __init__(self) -> None:
        self._groups: defaultdict[tuple[str, ...], dict[tuple[object, ...], set[MemberT]]] = defaultdict(dict)

    def add(self, wanted: EventFilter, member: MemberT) -> None:
        facts = wanted.get_wanted()
        self._groups[tuple(facts)].setdefault(tuple(facts.values()), set()).add(member)

    def remove(self, wanted: EventFilter, member: MemberT) -> None:
        """Remove a member that was added with this filter, and its group if it becomes empty."""
        facts = wanted.get_wanted()
        names, values = tuple(facts), tuple(facts.values())
        group = self._groups[names]
        group[values].remove(member)
        if not group[values]:
            del group[values]
        if not group:
            del self._groups[names]

    def __iter__(self) -> Iterator[MemberT]:
        """Iterate over all members."""
        for group in self._groups.values():
            for members in group.values():
                yield from members

    def find(self, subjects: Iterable[EventFacts]) -> Iterator[MemberT]:
        """Find the members that match one of some events, each once."""
        known = tuple(subjects)
        for names, group in self._groups.items():
            for values in {tuple(getattr(subject, name) for name in names) for subject in known}:
                yield from group.get(values, ())


def read_subject(source: str | None, body: Mapping[str, Any]) -> Subject:
    """Read the facts of an event from its body, which may be anything that its sender wrote."""
    ids, event = read_event_ids(body), body.get("event")
    name = event if isinstance(event, str) else None
    return Subject(source, name, ids.report_id, ids.query_id, ids.run_id)
