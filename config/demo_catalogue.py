"""What the sample history is made of: an invented shop, its invented customers, and the odds of things.

Every name, address and number is made up: example.com (RFC 2606), 555-01xx and the like.
"""

from dataclasses import dataclass

from payments.models import Method
from refunds.models import Reason

# What the shop sells, in US cents.
PRODUCTS = [
    ("Stoneware mugs, set of two", 34_00),
    ("Linen apron", 42_00),
    ("Cast-iron skillet, 26 cm", 89_00),
    ("Beeswax candle", 18_50),
    ("Canvas weekend bag", 145_00),
    ("Wool blanket", 168_00),
    ("Oak chopping board", 64_50),
    ("Pour-over coffee set", 54_00),
    ("Enamel teapot", 47_99),
    ("Field notebooks, pack of three", 15_99),
    ("Brass desk lamp", 129_00),
    ("Ceramic planter", 38_99),
    ("Gift card", 50_00),
    ("Pottery workshop, one evening", 95_00),
    ("Tea sampler", 24_50),
    ("Hand-woven rug", 420_00),
]


@dataclass(frozen=True, slots=True)
class Market:
    """Customers of one currency. `rate` is minor units for a US dollar, `step` what prices are rounded down to."""

    currency: str
    share: int
    customers: int
    rate: int
    step: int
    first_names: tuple[str, ...]
    last_names: tuple[str, ...]
    places: tuple[str, ...]
    phone: str
    methods: dict[str, int]

    def price(self, cents: int) -> int:
        """Minor units of this market's currency, above zero."""
        return self._rounded(cents * self.rate // 100)

    def share_of(self, amount: int, percent: int) -> int:
        """Minor units too, as round as a price."""
        return self._rounded(amount * percent // 100)

    def _rounded(self, amount: int) -> int:
        return max(amount // self.step, 1) * self.step


MARKETS = [
    Market(
        currency="USD",
        share=60,
        customers=64,
        rate=100,
        step=1,
        first_names=(
            "Maya",
            "Theo",
            "Iris",
            "Caleb",
            "Nora",
            "Felix",
            "June",
            "Omar",
            "Willa",
            "Jonah",
            "Leah",
            "Ezra",
        ),
        last_names=("Thornwood", "Quillby", "Marlowe-Finch", "Ashgrove", "Pemberly", "Larkspur", "Holloway-Reed"),
        places=("Portland, Oregon", "Austin, Texas", "Madison, Wisconsin", "Savannah, Georgia", "Boise, Idaho"),
        phone="+1 503 555 01{:02d}",
        methods={Method.CREDIT_CARD: 56, Method.DEBIT_CARD: 22, Method.PAYPAL: 18, Method.BANK_TRANSFER: 4},
    ),
    Market(
        currency="EUR",
        share=14,
        customers=18,
        rate=92,
        step=10,
        first_names=("Chloé", "Matteo", "Annika", "Bastien", "Lucía", "Jonas"),
        last_names=("Feldmohn", "Valbruna", "Rivebelle", "Castelhar", "Lindqvisten"),
        places=("Lyon, France", "Bologna, Italy", "Freiburg, Germany", "Valencia, Spain"),
        phone="+33 1 99 00 00 {:02d}",
        methods={Method.CREDIT_CARD: 40, Method.DEBIT_CARD: 14, Method.PAYPAL: 30, Method.BANK_TRANSFER: 16},
    ),
    Market(
        currency="GBP",
        share=9,
        customers=12,
        rate=79,
        step=50,
        first_names=("Imogen", "Rhys", "Harriet", "Callum", "Priya"),
        last_names=("Winterbourne", "Applegarth", "Thistlewood", "Oakhampton"),
        places=("Bristol, England", "Leith, Scotland", "Cardiff, Wales"),
        phone="+44 7700 9000{:02d}",
        methods={Method.DEBIT_CARD: 52, Method.CREDIT_CARD: 30, Method.PAYPAL: 18},
    ),
    Market(
        currency="NGN",
        share=7,
        customers=10,
        rate=150_000,
        step=50_000,
        first_names=("Amara", "Tunde", "Ngozi", "Chidi"),
        last_names=("Okonjade", "Balogunde", "Ezenwali", "Adesinuo"),
        places=("Lagos, Nigeria", "Ibadan, Nigeria", "Enugu, Nigeria"),
        phone="+234 800 000 00{:02d}",
        methods={Method.DEBIT_CARD: 56, Method.BANK_TRANSFER: 36, Method.CREDIT_CARD: 8},
    ),
    Market(
        currency="JPY",
        share=5,
        customers=7,
        rate=150,
        step=100,
        first_names=("Haruka", "Kenta", "Mio", "Sora"),
        last_names=("Aonomori", "Tsukigawara", "Hoshizato"),
        places=("Kyoto, Japan", "Sapporo, Japan"),
        phone="+81 3 0000 00{:02d}",
        methods={Method.CREDIT_CARD: 84, Method.DEBIT_CARD: 6, Method.PAYPAL: 10},
    ),
    Market(
        currency="KES",
        share=5,
        customers=7,
        rate=12_900,
        step=5_000,
        first_names=("Wanjiru", "Otieno", "Achieng", "Kamau"),
        last_names=("Mwangare", "Ochiengo", "Njorogeh"),
        places=("Nairobi, Kenya", "Kisumu, Kenya"),
        phone="+254 700 0000{:02d}",
        methods={Method.MOBILE_MONEY: 82, Method.CREDIT_CARD: 10, Method.DEBIT_CARD: 8},
    ),
]

MARKET_OF = {market.currency: market for market in MARKETS}

# The odds of how a payment ends, and of the test cards of payments.cards that bring it about.
ENDINGS = {"paid": 870, "failed": 60, "lapsed": 50, "withdrawn": 20}
GOOD_CARDS = {
    "4242424242424242": 48,
    "4111111111111111": 14,
    "5555555555554444": 28,
    "378282246310005": 10,
    "4000000000005126": 2,  # its refunds fail
}
SECURE_CARDS = {"4000002500003155": 60, "4000002760003184": 25, "4000000000003220": 15}
BAD_CARDS = {
    "4000000000000002": 34,
    "4000000000009995": 28,
    "4000000000000069": 10,
    "4000000000000127": 10,
    "4000000000000119": 6,
    "4000000000009987": 5,
    "4000000000009979": 3,
    "4100000000000019": 4,
}
QUANTITIES = {1: 78, 2: 16, 3: 6}
HOURS = [3, 2, 2, 1, 1, 2, 4, 6, 8, 9, 9, 10, 11, 11, 12, 13, 14, 14, 13, 13, 12, 9, 6]  # UTC; none after 23:00

# How many percent of the paid payments are refunded; the odds of how many percent of one, and of why, with a note.
REFUNDED = 6
PERCENT = {100: 75, 50: 6, 20: 11, 10: 8}
FULL_REFUNDS = {
    (Reason.REQUESTED_BY_CUSTOMER, ""): 40,
    (Reason.REQUESTED_BY_CUSTOMER, "Sent back unopened."): 14,
    (Reason.PRODUCT_UNACCEPTABLE, "Damaged on the way, photos by mail."): 16,
    (Reason.PRODUCT_NOT_RECEIVED, "The carrier lost the parcel."): 12,
    (Reason.DUPLICATE, "Ordered twice by mistake."): 12,
    (Reason.OTHER, "Sold out after all."): 6,
}
PARTIAL_REFUNDS = {
    (Reason.PRODUCT_UNACCEPTABLE, "Small flaw; keeps it at a lower price."): 45,
    (Reason.REQUESTED_BY_CUSTOMER, ""): 25,
    (Reason.OTHER, "Goodwill for a late delivery."): 30,
}
