"""Client of the REST API and of GraphQL, for the demo: sends rows until they are accepted."""

import http.client
import json
import threading
from collections.abc import Sequence
from typing import Any, Final

from demo.rows import Row
from demo.telemetry import Description

_TIMEOUT_SECONDS: Final = 60
_TRIES: Final = 30
_RETRY_SECONDS: Final = 1.0
_BATCH_ROWS: Final = 10_000
_RETRIED_STATUSES: Final = frozenset({429, 503})

_DESCRIBE: Final = """
mutation Describe($input: DescribeMetricInput!) { describeMetric(input: $input) { name } }
"""


class RecordingError(RuntimeError):
    """The service did not take a request of the demo."""


class Client:
    """A connection to the service on this machine."""

    def __init__(self, host: str, port: int, stop: threading.Event) -> None:
        """Connect at the first request. `stop` ends the wait for another try."""
        self._connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
        self._stop = stop

    def record(self, rows: Sequence[Row]) -> None:
        """Record rows. Raises `RecordingError` if the service rejects one."""
        lines: dict[str, list[str]] = {}
        for _, path, line in rows:
            lines.setdefault(path, []).append(line)
        for path, path_lines in lines.items():
            for start in range(0, len(path_lines), _BATCH_ROWS):
                body = "\n".join(path_lines[start : start + _BATCH_ROWS])
                answer = self._post(path, body, "application/x-ndjson")
                if answer["rejected"]:
                    raise RecordingError(f"{path} rejects rows: {answer['errors'][:1]}")

    def describe(self, metric: str, description: Description) -> None:
        """Set the kind, unit and description of a metric."""
        fields = {
            "name": metric,
            "kind": description.kind,
            "unit": description.unit,
            "description": description.text,
        }
        body = json.dumps({"query": _DESCRIBE, "variables": {"input": fields}})
        answer = self._post("/graphql", body, "application/json")
        if "errors" in answer:
            raise RecordingError(f"{metric} can't be described: {answer['errors']}")

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _post(self, path: str, body: str, content_type: str) -> Any:  # noqa: ANN401 - JSON
        for _ in range(_TRIES):
            self._connection.request("POST", path, body.encode(), {"Content-Type": content_type})
            response = self._connection.getresponse()
            content = response.read()
            if response.status == 200:
                return json.loads(content)
            if response.status not in _RETRIED_STATUSES:
                break
            if self._stop.wait(_RETRY_SECONDS):
                break
        raise RecordingError(f"POST {path} is answered with {response.status}: {content[:300]!r}")
