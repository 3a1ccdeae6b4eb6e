"""The story of the shop: growth, a campaign, deploys, one of which hurts for 2.5 hours."""

import datetime as dt
import functools
import json
import random
from dataclasses import dataclass
from typing import Final

from demo.places import HOME, MS_PER_HOUR, MS_PER_MINUTE, day_at, instant_ms, weekday

HISTORY_DAYS: Final = 30
GROWTH: Final = 0.35
"""Growth of the demand over the history: the last day has 1.35 times the visitors of the first."""

CAMPAIGN: Final = "autumn-sale"
_CAMPAIGN_DEMAND: Final = 2.3
_CAMPAIGN_AGE_DAYS: Final = 11
_BAD_DEPLOY_AGE_DAYS: Final = 3
_DEPLOY_HOURS: Final = {27: 10.5, 22: 15.0, 17: 9.75, 10: 16.25, 6: 11.0}
"""Age in days, and local hour, of the deploys that went well."""

_ADDRESS: Final = "https://git.shop.example/releases"


@dataclass(frozen=True, slots=True)
class Annotation:
    """A mark on the charts: an instant or a period, its reason, the page that explains it."""

    ms: int
    kind: str
    title: str
    text: str
    url: str
    end_ms: int | None = None

    def line(self) -> str:
        """Return the event of the annotation, as a line of a batch."""
        properties = {"title": self.title, "text": self.text, "kind": self.kind, "url": self.url}
        if self.end_ms is not None:
            end = dt.datetime.fromtimestamp(self.end_ms / 1000, tz=dt.UTC)
            properties["endsAt"] = end.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return json.dumps(
            {
                "event_name": "$annotation",
                "timestamp": self.ms,
                "id": f"annotation-{self.ms}",
                "properties": properties,
            }
        )


@dataclass(frozen=True)
class Story:
    """The calendar of a shop whose history ends at an instant, in milliseconds since 1970."""

    seed: int
    end_ms: int

    @functools.cached_property
    def last_day(self) -> int:
        """Day of the end of the history, on the shop's calendar."""
        return day_at(HOME, self.end_ms)

    @functools.cached_property
    def first_day(self) -> int:
        """Day on which the history begins."""
        return self.last_day - HISTORY_DAYS

    @functools.cached_property
    def start_ms(self) -> int:
        """First midnight of the history."""
        return instant_ms(HOME, self.first_day, 0)

    @functools.cached_property
    def campaign_day(self) -> int:
        """Day of the campaign."""
        return self.last_day - _CAMPAIGN_AGE_DAYS

    @functools.cached_property
    def bad_deploy_ms(self) -> int:
        """Instant of the bad deploy: 14:00 three days before the end."""
        return instant_ms(HOME, self.last_day - _BAD_DEPLOY_AGE_DAYS, 14 * MS_PER_HOUR)

    @functools.cached_property
    def rollback_ms(self) -> int:
        """Instant of the rollback, 2.5 hours after the bad deploy."""
        return self.bad_deploy_ms + 150 * MS_PER_MINUTE

    @functools.cached_property
    def restarts(self) -> tuple[int, ...]:
        """Instants at which all servers restarted: the deploys and the rollback."""
        deploys = [
            instant_ms(HOME, _workday(self.last_day - age), hour * MS_PER_HOUR)
            for age, hour in _DEPLOY_HOURS.items()
        ]
        return (*deploys, self.bad_deploy_ms, self.rollback_ms)

    def random(self, use: str, day: int = 0) -> random.Random:
        """Return random numbers for a use on a day, which depend on the day's age alone.

        So two histories differ by their weekdays and by the hour of their end, and by nothing else.
        """
        return random.Random(f"{self.seed}:{use}:{day - self.last_day}")

    def is_harmed(self, ms: int) -> bool:
        """Say whether the bad deploy serves at an instant."""
        return self.bad_deploy_ms <= ms < self.rollback_ms

    def demand(self, day: int) -> float:
        """Return the demand of a day of the shop, relative to the first day of the history."""
        growth = 1 + GROWTH * min(1.0, (day - self.first_day) / HISTORY_DAYS)
        return growth * (_CAMPAIGN_DEMAND if day == self.campaign_day else 1.0)

    def annotations(self) -> list[Annotation]:
        """List the marks of the history: deploys, the rollback, the incident."""
        releases = [
            Annotation(
                ms,
                "deploy",
                f"Release 4.{minor}",
                "Checkout, search and translations.",
                f"{_ADDRESS}/4.{minor}",
            )
            for minor, ms in enumerate(self.restarts[: len(_DEPLOY_HOURS) + 1], start=12)
        ]
        minor = 12 + len(_DEPLOY_HOURS)
        incident = Annotation(
            self.bad_deploy_ms + 12 * MS_PER_MINUTE,
            "incident",
            "Slow checkout",
            f"Payments wait for a lock since release 4.{minor}.",
            "https://status.shop.example/incidents/31",
            self.rollback_ms,
        )
        rollback = Annotation(
            self.rollback_ms,
            "deploy",
            f"Rollback to 4.{minor - 1}",
            f"Release 4.{minor} is taken back.",
            f"{_ADDRESS}/4.{minor - 1}",
        )
        return [*releases, incident, rollback]


def _workday(day: int) -> int:
    """Return a day, or the Friday before it: nobody deploys at the weekend."""
    return day - max(0, weekday(day) - 4)


WEEKDAY_DEMAND: Final = (0.97, 0.9, 0.92, 0.96, 0.95, 1.08, 1.28)
"""Demand of Monday to Sunday, relative to the mean of the week."""

_WORKDAY_HOURS: Final = (
    *(0.4, 0.28, 0.22, 0.2, 0.22, 0.3, 0.55, 0.85, 0.95, 1.0, 1.05, 1.1),
    *(1.35, 1.25, 1.05, 1.0, 1.05, 1.2, 1.45, 1.8, 2.1, 2.05, 1.5, 0.85),
)
_WEEKEND_HOURS: Final = (
    *(0.5, 0.35, 0.25, 0.2, 0.2, 0.22, 0.32, 0.55, 0.9, 1.25, 1.45, 1.5),
    *(1.4, 1.35, 1.3, 1.35, 1.4, 1.5, 1.7, 2.0, 2.25, 2.1, 1.5, 0.85),
)


def hour_weights(day: int) -> tuple[float, ...]:
    """Return the weights of the 24 hours of a local day."""
    return _WEEKEND_HOURS if weekday(day) >= 5 else _WORKDAY_HOURS
