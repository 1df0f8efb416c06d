"""What jobs keeps: jobs, and the files they read and make."""
