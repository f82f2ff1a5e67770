"""One session of Flink's SQL Gateway over its REST interface: statements in, rows out as they come.

A session lives in the gateway until it is closed or has been idle for half an hour. Not for two threads at once.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from headwater.model.errors import BadRequest, StackError
from headwater.stack.trace import innermost

POLL_S = 0.05
MOST_PAUSE_S = 0.5
ANSWER_S = 60.0


@dataclass(frozen=True)
class Row:
    """One row as it came. `kind` is INSERT, UPDATE_BEFORE, UPDATE_AFTER or DELETE."""

    kind: str
    values: list[Any]


@dataclass
class Answer:
    """What a statement gives: names and types of the columns, then rows until there are no more.

    `query` is False for what is no query (`OK`, a job's id). `job_id` is the Flink job behind it, if there is one.
    """

    columns: list[str]
    types: list[str]
    query: bool
    job_id: str
    rows: Iterator[Row] = field(repr=False)


class Session:
    """A session of the gateway at `url` with Flink's options `properties`. Use it as a context.

    Every call raises `BadRequest` with Flink's reason if it does not take a statement or a statement fails, and
    `StackError` if the gateway is away.
    """

    def __init__(self, url: str, properties: Mapping[str, str]) -> None:
        self._client = httpx.Client(base_url=url, timeout=ANSWER_S)
        self._operation = ""
        self._path = ""
        found = self._call("POST", "/v3/sessions", {"properties": dict(properties)})
        self._path = f"/v3/sessions/{found['sessionHandle']}"

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the session and whatever still runs for its queries; jobs of `insert` go on."""
        try:
            self._call("DELETE", self._path, None)
        except (BadRequest, StackError):
            pass  # it is gone already, or the gateway is
        self._client.close()

    def execute(self, statement: str) -> Answer:
        """Runs one statement; returns when its first answer is there."""
        found = self._call("POST", f"{self._path}/statements", {"statement": statement})
        operation = str(found["operationHandle"])
        self._operation = operation
        pages = self._pages(operation)
        first = next(pages)
        columns = first["results"].get("columns") or []
        return Answer(
            columns=[str(one["name"]) for one in columns],
            types=[str(one["logicalType"]["type"]) for one in columns],
            query=bool(first.get("isQueryResult")),
            job_id=str(first.get("jobID") or ""),
            rows=self._rows(operation, first, pages),
        )

    def run(self, statement: str) -> list[list[Any]]:
        """Runs one statement to its end and returns the values of all rows."""
        return [row.values for row in self.execute(statement).rows]

    def cancel(self) -> None:
        """Ends the statement that runs, and its query on the cluster; nothing if none does."""
        if self._operation:
            try:
                self._call("DELETE", f"{self._path}/operations/{self._operation}/close", None)
            except BadRequest:
                pass  # it has just ended
            self._operation = ""

    def _rows(self, operation: str, first: dict[str, Any], pages: Iterator[dict[str, Any]]) -> Iterator[Row]:
        page: dict[str, Any] | None = first
        while page is not None:
            for one in page["results"]["data"]:
                yield Row(str(one["kind"]), list(one["fields"]))
            page = next(pages, None)
        if self._operation == operation:
            self.cancel()

    def _pages(self, operation: str) -> Iterator[dict[str, Any]]:
        """Every page with a result; waits between those that hold nothing, longer each time."""
        path, pause = f"{self._path}/operations/{operation}/result/0?rowFormat=JSON", POLL_S
        while path:
            page = self._call("GET", path, None)
            ready = page["resultType"] != "NOT_READY"
            if ready and page["resultType"] != "EOS":
                yield page
            path = str(page.get("nextResultUri") or "")
            if not path and not ready:
                raise StackError("The SQL Gateway gave no place to ask again.", "see `headwater logs sql-gateway`.")
            empty = not ready or not page["results"]["data"]
            if empty and path:
                time.sleep(pause)
            pause = min(MOST_PAUSE_S, pause * 1.3) if empty else POLL_S

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        try:
            answer = self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise StackError(
                f"The SQL Gateway does not answer ({type(error).__name__}: {error}).", "see `headwater status`."
            ) from error
        if answer.is_success:
            found: dict[str, Any] = answer.json() if answer.content else {}
            return found
        try:
            said = "\n".join(answer.json()["errors"])
        except (ValueError, KeyError):
            said = answer.text
        raise BadRequest(innermost(said))
