"""The API of accounts, merchants and what belongs to them."""
