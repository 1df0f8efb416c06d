"""Auth: how people and machines prove who they are, their sessions and tokens, and the audit log of all that."""
