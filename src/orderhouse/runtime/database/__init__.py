"""One database per context, on SQLite or PostgreSQL: the same code writes through lanes and reads beside them."""
