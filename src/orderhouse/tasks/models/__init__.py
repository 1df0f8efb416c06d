"""What tasks keeps: tasks, what belongs to them, and the rules that raise them with what those look at."""
