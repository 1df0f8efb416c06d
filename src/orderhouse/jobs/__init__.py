"""Jobs: work that takes longer than a request may: who wants it, how far it is, and what came of it."""
