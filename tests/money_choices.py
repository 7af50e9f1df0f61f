"""What the machine chooses from: amounts, cards, fees, and when somebody dies."""

from hypothesis import strategies as st

EXPONENTS = {"USD": 2, "JPY": 0, "KWD": 3}
GOOD = "4242424242424242"
CARDS = {
    GOOD: "pays",
    "4000000000000002": "is declined",
    "4000002500003155": "asks its owner, then pays",
    "4000008400001629": "asks its owner, then is declined",
    "4000000000007726": "is slow to take money back",
    "4000000000005126": "sends a refund back",
}
METHODS = ["bank_transfer", "mobile_money", "paypal"]

numbers = st.integers(0, 7)
parts = st.sampled_from(["all", "a third", "one", "too much"])
deaths = st.none() | st.none() | st.integers(1, 40)  # before that statement, or not at all

# What a merchant may ask to be paid.
PAYMENT = {
    "which": st.integers(0, 1),
    "amount": st.sampled_from([1, 99, 1000, 12_345, 999_999]),
    "currency": st.sampled_from(["USD", *EXPONENTS]),
    "order": st.none() | st.sampled_from(["o-1", "o-2"]),
    "card": st.sampled_from([None, *[GOOD] * 3, *CARDS]),
    "manual": st.sampled_from([False, False, True]),
    "death": deaths,
}
FEE = st.tuples(
    numbers,  # of the merchant: even or odd
    st.sampled_from(["provider", "platform"]),
    st.sampled_from(["", "credit_card", "bank_transfer"]),
    st.sampled_from(sorted(EXPONENTS)),
    st.sampled_from([0, 1, 290, 333, 10_000]),
    st.sampled_from([0, 1, 30]),
)
TERMS = {
    "delays": st.tuples(st.sampled_from([0, 1, 7]), st.sampled_from([0, 2])),
    "limits": st.tuples(st.none() | st.just(500), st.none() | st.just(2000)),
    "turns": st.sampled_from([0, 3, 7]),
    "payments": st.lists(st.fixed_dictionaries(PAYMENT), min_size=2, max_size=4),
    "fees": st.lists(FEE, max_size=5, unique_by=lambda fee: (fee[0] % 2, *fee[1:4])),
}


def share(part: str, amount: int) -> int | None:
    """Minor units; None leaves it to the product to take all."""
    return {"all": None, "a third": max(amount // 3, 1), "one": 1, "too much": amount + 1}[part]


def major(amount: int, currency: str) -> str:
    digits = EXPONENTS[currency]
    text = f"{amount:0{digits + 1}}"
    return f"{text[:-digits]}.{text[-digits:]}" if digits else text
