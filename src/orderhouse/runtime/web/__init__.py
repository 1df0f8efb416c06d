"""The edge: requests in, answers out, the same for every context."""
