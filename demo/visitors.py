"""Visitors of the shop: who they are, and the days on which they come back."""

import math
import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from demo.places import COUNTRIES, Country, weekday
from demo.story import CAMPAIGN, WEEKDAY_DEMAND, Story

_Item = TypeVar("_Item")

_FIRST_NUMBERED_DAY: Final = 20_000
"""Day whose number begins the ids of its visitors with 0."""

_NEW_VISITORS: Final = 165
"""New visitors of a mean day at the start of the history."""

_EARLIER_COHORTS: Final = 45
"""Days before the history whose visitors may come back in it."""


@dataclass(frozen=True, slots=True)
class Loyalty:
    """A kind of visitor: its chance of a visit on the next day, which decays by e in some days."""

    name: str
    chance: float
    days: float


_LOYALTY: Final = (
    (Loyalty("passer-by", 0.02, 4), 0.38),
    (Loyalty("occasional", 0.18, 16), 0.38),
    (Loyalty("regular", 0.6, 60), 0.24),
)

_VISIT_DAYS: Final = 60
"""Days after the first visit on which a visitor may come back."""

_BROWSERS: Final = {
    "mobile": (("Safari", 0.46), ("Chrome", 0.42), ("Samsung Internet", 0.08), ("Firefox", 0.04)),
    "desktop": (("Chrome", 0.58), ("Safari", 0.17), ("Edge", 0.14), ("Firefox", 0.11)),
    "tablet": (("Safari", 0.7), ("Chrome", 0.3)),
}
_DEVICES: Final = (("mobile", 0.57), ("desktop", 0.36), ("tablet", 0.07))


@dataclass(frozen=True, slots=True)
class Source:
    """Origin of a visitor: the referring page, and the parameters of the link."""

    source: str
    medium: str
    referrer: str
    campaign: str = ""


_SOURCES: Final = (
    (Source("google", "organic", "https://www.google.com/"), 0.34),
    (Source("direct", "none", ""), 0.24),
    (Source("google", "cpc", "https://www.google.com/", "brand"), 0.14),
    (Source("instagram", "social", "https://www.instagram.com/"), 0.12),
    (Source("newsletter", "email", "", "weekly"), 0.09),
    (Source("bing", "organic", "https://www.bing.com/"), 0.04),
    (Source("partner", "affiliate", "https://deals.example/"), 0.03),
)
CAMPAIGN_SOURCE: Final = Source("newsletter", "email", "", CAMPAIGN)
DIRECT: Final = _SOURCES[1][0]
_CAMPAIGN_SHARE: Final = 0.55
_CAMPAIGN_BOOST: Final = 1.5
_SMALL_CHANCE: Final = 0.002
"""Chance of a visit that is none: the days after it are not drawn."""

_SIGN_UP_SHARE: Final = 0.4
_PREMIUM_SHARE: Final = 0.2
_COUNTRY_SHARES: Final = tuple((country, country.share) for country in COUNTRIES)


@dataclass(frozen=True, slots=True)
class Visitor:
    """A person with a browser. `signs_up` is the number of the visit that ends with an account."""

    id: str
    country: Country
    device: str
    browser: str
    source: Source
    loyalty: Loyalty
    signs_up: int
    is_premium: bool


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit of a visitor on a day; its number counts from 0. It may have a second session."""

    visitor: Visitor
    number: int
    is_second_session: bool = False


class Visitors:
    """All visitors, in cohorts by the day of their first visit."""

    def __init__(self, story: Story) -> None:
        """Make the visitors of a story; cohorts are made when they are needed."""
        self._story = story
        self._first_cohort = story.first_day - _EARLIER_COHORTS
        self._next_cohort = self._first_cohort
        self._visits: defaultdict[int, list[Visit]] = defaultdict(list)

    def visits(self, day: int) -> list[Visit]:
        """Return the visits of a day, in a fixed order."""
        while self._next_cohort <= day:
            self._add_cohort(self._next_cohort)
            self._next_cohort += 1
        return self._visits[day]

    def _add_cohort(self, day: int) -> None:
        story = self._story
        rng = story.random("visitors", day)
        mean = _NEW_VISITORS * WEEKDAY_DEMAND[weekday(day)] * story.demand(day)
        for number in range(round(rng.gauss(mean, math.sqrt(mean)))):
            is_campaign = day == story.campaign_day and rng.random() < _CAMPAIGN_SHARE
            visitor = _new_visitor(rng, f"user_{day - _FIRST_NUMBERED_DAY}{number:04}", is_campaign)
            self._visits[day].append(Visit(visitor, 0))
            for visit_number, visit_day in enumerate(self._later_days(rng, day, visitor.loyalty)):
                self._visits[visit_day].append(Visit(visitor, visit_number + 1))

    def _later_days(self, rng: random.Random, first_day: int, loyalty: Loyalty) -> list[int]:
        chance, decay = loyalty.chance, math.exp(-1 / loyalty.days)
        later_days = []
        for day in range(first_day + 1, first_day + _VISIT_DAYS):
            boost = _CAMPAIGN_BOOST if day == self._story.campaign_day else 1.0
            if rng.random() < chance * boost * WEEKDAY_DEMAND[weekday(day)]:
                later_days.append(day)
            chance *= decay
            if chance < _SMALL_CHANCE:
                break
        return later_days


def _new_visitor(rng: random.Random, visitor_id: str, is_campaign: bool) -> Visitor:
    loyalty = _choice(rng, _LOYALTY)
    device = _choice(rng, _DEVICES)
    return Visitor(
        id=visitor_id,
        country=_choice(rng, _COUNTRY_SHARES),
        device=device,
        browser=_choice(rng, _BROWSERS[device]),
        source=CAMPAIGN_SOURCE if is_campaign else _choice(rng, _SOURCES),
        loyalty=loyalty,
        signs_up=int(rng.expovariate(0.7)) if rng.random() < _SIGN_UP_SHARE else -1,
        is_premium=rng.random() < _PREMIUM_SHARE,
    )


def _choice(rng: random.Random, shares: Sequence[tuple[_Item, float]]) -> _Item:
    """Return an item by its share; the last item takes the rest."""
    draw = rng.random()
    for item, share in shares:
        draw -= share
        if draw < 0:
            return item
    return shares[-1][0]
