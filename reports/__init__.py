"""One Report object and its writers."""
