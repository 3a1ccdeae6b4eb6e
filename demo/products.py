"""The catalogue of the shop: products with a price and a popularity."""

import random
from dataclasses import dataclass
from typing import Final

_CATEGORIES: Final = {
    "kitchen": ("Kettle", "Pan", "Knife", "Scale", "Teapot", "Grinder"),
    "garden": ("Hose", "Lantern", "Planter", "Rake", "Bench", "Grill"),
    "living": ("Lamp", "Rug", "Cushion", "Vase", "Mirror", "Clock"),
    "office": ("Desk", "Chair", "Notebook", "Organizer", "Footrest", "Stand"),
    "outdoor": ("Backpack", "Tent", "Bottle", "Stove", "Hammock", "Headlamp"),
}
_VARIANTS: Final = ("Classic", "Light")
_CATALOGUE_SEED: Final = 7
_MEDIAN_EUR: Final = 32
_PRICE_SPREAD: Final = 0.75
_POPULARITY_EXPONENT: Final = 0.8


@dataclass(frozen=True, slots=True)
class Product:
    """A product: its number, name, category, and price in euros."""

    sku: str
    name: str
    category: str
    price: float


class Catalogue:
    """All products. Few are popular, most are not: Zipf's law."""

    def __init__(self) -> None:
        """Price the products: the same in every demo."""
        rng = random.Random(_CATALOGUE_SEED)
        self._products = [
            Product(
                f"{category[:3].upper()}-{number:03}",
                f"{noun} {variant}",
                category,
                round(_MEDIAN_EUR * rng.lognormvariate(0, _PRICE_SPREAD)) - 0.05,
            )
            for category, nouns in _CATEGORIES.items()
            for number, (noun, variant) in enumerate(
                (noun, variant) for noun in nouns for variant in _VARIANTS
            )
        ]
        rng.shuffle(self._products)
        total, self._weights = 0.0, []
        for rank in range(1, len(self._products) + 1):
            total += rank**-_POPULARITY_EXPONENT
            self._weights.append(total)

    def pick(self, rng: random.Random) -> Product:
        """Return a product, the popular ones more often."""
        return rng.choices(self._products, cum_weights=self._weights)[0]
