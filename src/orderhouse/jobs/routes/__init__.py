"""Jobs' part of the API: jobs, and files."""
