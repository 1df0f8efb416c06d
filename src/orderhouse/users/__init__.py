"""Users: who people are, which teams they are in, and what they may do."""
