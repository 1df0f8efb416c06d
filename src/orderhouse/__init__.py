"""Orderhouse: the back office for orders that you can start with one command, and prove."""
