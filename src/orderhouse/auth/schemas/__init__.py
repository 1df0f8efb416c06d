"""What auth looks like on the wire, by what it is about."""
