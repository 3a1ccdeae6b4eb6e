"""A session of a visitor: its events share an id and the properties of the visit."""

import json
import random
from typing import Final

from demo.rows import EVENTS, METRICS, Row
from demo.visitors import DIRECT, Visit

_LINKED_SHARE: Final = 0.4
"""Share of later visits that come by a link again, rather than directly."""


class Session:
    """Rows of one session, in the order of their times."""

    def __init__(self, rng: random.Random, visit: Visit, session_id: str, start_ms: int) -> None:
        """Begin a session; all of its events share the properties of the visit."""
        self.rng = rng
        self.visitor = visitor = visit.visitor
        self.ms = start_ms
        self.rows: list[Row] = []
        self.is_first = visit.number == 0 and not visit.is_second_session
        self.signs_up = visit.number == visitor.signs_up and not visit.is_second_session
        self.has_account = 0 <= visitor.signs_up < visit.number
        self.id = session_id
        source = visitor.source if self.is_first or rng.random() < _LINKED_SHARE else DIRECT
        self.referrer = source.referrer
        plan = "premium" if visitor.is_premium else "free"
        shared_properties = {
            "country": visitor.country.code,
            "device": visitor.device,
            "browser": visitor.browser,
            "customer": "new" if self.is_first else "returning",
            "plan": plan if self.has_account else "guest",
            "is_signed_in": self.has_account,
            "utm": {"source": source.source, "medium": source.medium, "campaign": source.campaign},
        }
        self._shared_text = json.dumps(shared_properties, separators=(",", ":"))[1:]
        self._identity = f'"user_id":"{visitor.id}","session_id":"{session_id}"'

    def record(self, name: str, properties: str) -> None:
        """Add an event. `properties` are JSON members with a comma at their end, or nothing."""
        line = (
            f'{{"event_name":"{name}","timestamp":{self.ms},{self._identity},'
            f'"id":"{self.id}-{len(self.rows)}","properties":{{{properties}{self._shared_text}}}'
        )
        self.rows.append((self.ms, EVENTS, line))

    def record_revenue(self, total: float) -> None:
        """Add a point of the metric `revenue`."""
        line = (
            f'{{"metric_name":"revenue","value":{total},"timestamp":{self.ms},'
            f'"id":"{self.id}-revenue","tags":{{"country":"{self.visitor.country.code}"}}}}'
        )
        self.rows.append((self.ms, METRICS, line))

    def pause(self, seconds: float) -> None:
        """Let some time pass, in the mean as many seconds."""
        self.ms += 900 + int(self.rng.expovariate(1 / seconds) * 1000)

    def view(self, page: str) -> None:
        """View a page."""
        title = page.strip("/").replace("/", " · ").title() or "Home"
        self.record("page_view", f'"page":"{page}","title":"{title}",')
