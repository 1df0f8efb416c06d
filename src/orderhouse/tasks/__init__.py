"""Tasks: what somebody has to do, by when, and what it is about."""
