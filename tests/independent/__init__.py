"""Computations that share nothing with the product, to hold its answers against."""
