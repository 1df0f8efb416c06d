"""What neighbours may know of analytics: nothing but its API. It tells no facts, and owns nothing that cannot be made
again from the facts of others."""
