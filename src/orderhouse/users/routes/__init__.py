"""Users over HTTP, in Flask: an app of one blueprint for each thing."""
