"""The history of this context's schema."""
