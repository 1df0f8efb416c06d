"""What may be done with jobs: by those who want them, and by the workers that do them."""
