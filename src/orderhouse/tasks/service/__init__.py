"""What may be done with tasks, by what it is done to."""
