"""The machinery contexts run on; no business nouns."""
