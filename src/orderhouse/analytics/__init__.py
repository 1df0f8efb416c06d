"""Analytics: what the orders add up to, read from a column file of its own that the orders' facts fill."""
