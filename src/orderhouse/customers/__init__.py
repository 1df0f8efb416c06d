"""Customers: who orders, how they are reached, and whether they may order now."""
