"""How facts travel from the log they were told in to whoever reads it."""
