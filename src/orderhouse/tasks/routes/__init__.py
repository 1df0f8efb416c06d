"""The tasks over HTTP, by what a path names."""
