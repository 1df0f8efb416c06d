"""What is measured, and how to measure it again: `make bench` runs every module here and writes what it found."""
