"""Orders: what was ordered, credited and adjusted, by whom, for how much, and where it stands."""
