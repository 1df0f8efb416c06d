"""Puts contexts together; the only place that sees everything."""
