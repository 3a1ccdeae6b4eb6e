"""The behaviour of visitors: pages, searches, the funnel up to an order, errors, refunds."""

from dataclasses import dataclass
from typing import Final

from demo.places import MS_PER_DAY, day_at
from demo.products import Catalogue, Product
from demo.session import Session
from demo.story import Story


@dataclass(frozen=True, slots=True)
class Funnel:
    """Chances of a device's visitors to take each step, after the step before."""

    product_viewed: float
    added_to_cart: float
    checkout_started: float
    payment_submitted: float
    order_completed: float


_FUNNELS: Final = {
    "desktop": Funnel(0.62, 0.30, 0.62, 0.80, 0.96),
    "tablet": Funnel(0.58, 0.25, 0.54, 0.73, 0.95),
    "mobile": Funnel(0.55, 0.21, 0.47, 0.66, 0.93),
}
_HARMED_PAYMENTS: Final = 0.7
"""Share of the customers who still submit a payment while the checkout is slow."""

_HARMED_ORDERS: Final = 0.15
"""Share of the payments that still succeed during the bad deploy."""

_BOUNCES: Final = 0.34
_LANDING_PAGES: Final = ("/", "/sale", "/kitchen", "/garden", "/living", "/outdoor", "/blog/gifts")
_LANDING_WEIGHTS: Final = (45, 60, 72, 80, 88, 94, 100)
_BROWSING_PAGES: Final = ("/kitchen", "/garden", "/living", "/office", "/outdoor", "/about")
_SEARCHES: Final = ("lamp", "tent", "kettle", "desk chair", "gift", "rug", "grill", "teapto")
_METHODS: Final = ("card", "paypal", "invoice", "apple_pay")
_METHOD_WEIGHTS: Final = (42, 76, 90, 100)
_ERRORS: Final = (
    ("TypeError: null is not an object", "/"),
    ("ChunkLoadError: loading chunk 7 failed", "/sale"),
    ("NetworkError: request aborted", "/search"),
)
_REFUND_REASONS: Final = ("wrong_size", "damaged", "too_late", "not_as_described")
_WHOLESALE_CHANCE: Final = 0.02
_EXPRESS_SHARE: Final = 0.18
_MOST_PIECES: Final = 60
_REFUND_CHANCE: Final = 0.05
_ERROR_CHANCE: Final = 0.02

LONGEST_DELAY_DAYS: Final = 4
"""Days after the start of a session within which all of its rows are, refunds included."""


class Shopper:
    """The behaviour of visitors: makes the rows of a session from a visit."""

    def __init__(self, story: Story) -> None:
        """Let visitors shop in a story."""
        self._story = story
        self._catalogue = Catalogue()

    def shop(self, session: Session) -> None:
        """Go through the shop, as far as the visitor comes."""
        rng, visitor = session.rng, session.visitor
        landing_page = rng.choices(_LANDING_PAGES, cum_weights=_LANDING_WEIGHTS)[0]
        session.record(
            "page_view",
            f'"page":"{landing_page}","referrer":"{session.referrer}","is_landing":true,',
        )
        if rng.random() < _ERROR_CHANCE:
            self._fail(session)
        if session.is_first and rng.random() < _BOUNCES:
            return
        self._browse(session)
        if session.signs_up:
            self._sign_up(session)
        funnel = _FUNNELS[visitor.device]
        if rng.random() < funnel.product_viewed:
            self._buy(session, funnel)

    def _browse(self, session: Session) -> None:
        rng = session.rng
        for _ in range(min(14, int(rng.expovariate(0.3)))):
            session.pause(35)
            session.view(rng.choice(_BROWSING_PAGES))
        if rng.random() < 0.22:
            session.pause(15)
            text = rng.choice(_SEARCHES)
            results = 0 if text == "teapto" else rng.randrange(1, 40)
            session.record("search", f'"query":"{text}","results":{results},')

    def _sign_up(self, session: Session) -> None:
        session.pause(50)
        plan = "premium" if session.visitor.is_premium else "free"
        source = session.visitor.source.source
        session.record("user_signup", f'"chosen_plan":"{plan}","referral_source":"{source}",')

    def _fail(self, session: Session) -> None:
        message, page = session.rng.choice(_ERRORS)
        session.record("error", f'"message":"{message}","page":"{page}","is_fatal":false,')

    def _buy(self, session: Session, funnel: Funnel) -> None:
        """Take the steps from a product to an order; each step may be the last one."""
        rng, harm = session.rng, self._story.is_harmed(session.ms)
        products = self._view_products(session)
        if rng.random() >= funnel.added_to_cart * self._eagerness(session):
            return
        items = self._fill_cart(session, products)
        session.pause(60)
        if rng.random() >= funnel.checkout_started:
            return
        total = round(sum(item.price * quantity for item, quantity in items), 2)
        session.record("checkout_started", f'"cart":{{"total":{total},"items":{len(items)}}},')
        session.pause(240 if harm else 80)
        chance = funnel.payment_submitted * (_HARMED_PAYMENTS if harm else 1)
        if rng.random() >= chance:
            return
        method = rng.choices(_METHODS, cum_weights=_METHOD_WEIGHTS)[0]
        session.record("payment_submitted", f'"method":"{method}","amount":{total},')
        session.pause(14 if harm else 3)
        if rng.random() < funnel.order_completed * (_HARMED_ORDERS if harm else 1):
            self._order(session, items, total, method)
        else:
            message = "504: checkout timed out" if harm else "402: the payment was declined"
            session.record("error", f'"message":"{message}","page":"/checkout","is_fatal":true,')

    def _eagerness(self, session: Session) -> float:
        """Return the factor by which a visitor rather buys: returning visitors do."""
        factor = 0.75 if session.is_first else 1.2
        if self._story.campaign_day == day_at(session.visitor.country, session.ms):
            factor *= 1.25
        return factor

    def _view_products(self, session: Session) -> list[Product]:
        rng, products = session.rng, []
        for _ in range(1 + min(6, int(rng.expovariate(0.7)))):
            session.pause(28)
            product = self._catalogue.pick(rng)
            products.append(product)
            session.record(
                "product_viewed",
                f'"product":{{"sku":"{product.sku}","name":"{product.name}",'
                f'"category":"{product.category}","price":{product.price}}},'
                f'"images_seen":{rng.randrange(1, 6)},',
            )
        return products

    def _fill_cart(self, session: Session, products: list[Product]) -> list[tuple[Product, int]]:
        """Add products to the cart; a few customers buy wholesale: the heavy tail of orders."""
        rng, items = session.rng, []
        is_wholesale = rng.random() < _WHOLESALE_CHANCE
        for product in products[-1 - int(rng.expovariate(1.1)) :]:
            quantity = 1 + int(rng.paretovariate(1.3) * 6 if is_wholesale else rng.expovariate(1.5))
            quantity = min(quantity, _MOST_PIECES)
            session.pause(20)
            session.record(
                "added_to_cart",
                f'"sku":"{product.sku}","category":"{product.category}",'
                f'"price":{product.price},"quantity":{quantity},',
            )
            items.append((product, quantity))
        return items

    def _order(
        self, session: Session, items: list[tuple[Product, int]], total: float, method: str
    ) -> None:
        rng = session.rng
        order_id = f"order_{session.id.removeprefix('session_')}"
        shipping, cost = ("express", 9.9) if rng.random() < _EXPRESS_SHARE else ("standard", 4.9)
        lines = ",".join(
            f'{{"sku":"{item.sku}","name":"{item.name}","price":{item.price},'
            f'"quantity":{quantity}}}'
            for item, quantity in items
        )
        session.record(
            "order_completed",
            f'"order_id":"{order_id}","total":{total},"currency":"EUR","method":"{method}",'
            f'"is_first_order":{"true" if session.is_first else "false"},'
            f'"shipping":{{"method":"{shipping}","cost":{cost}}},"items":[{lines}],',
        )
        session.record_revenue(total)
        if rng.random() < _REFUND_CHANCE:
            session.ms += int(rng.uniform(0.5, LONGEST_DELAY_DAYS - 1) * MS_PER_DAY)
            reason = rng.choice(_REFUND_REASONS)
            session.record(
                "order_refunded",
                f'"order_id":"{order_id}","total":{total},"reason":"{reason}",',
            )
