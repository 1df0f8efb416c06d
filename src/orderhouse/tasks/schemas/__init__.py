"""What tasks looks like on the wire, by what it is about."""
