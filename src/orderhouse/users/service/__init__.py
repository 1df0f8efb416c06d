"""What may be done with users, invitations, teams and roles, and by whom."""
