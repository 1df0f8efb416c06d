"""The kinds of job there are, one to a file."""
