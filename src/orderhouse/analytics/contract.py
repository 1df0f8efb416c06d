"""What neighbours may know of analytics: nothing but its API. It tells no facts, and owns nothing but copies."""
