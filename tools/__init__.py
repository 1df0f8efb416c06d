"""Small programs that make pages from the code, and hold the pages against it."""
