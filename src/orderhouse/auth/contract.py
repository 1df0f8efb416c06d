"""What neighbours may know of auth: nothing but its tokens, which the runtime verifies."""
