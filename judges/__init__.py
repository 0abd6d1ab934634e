"""The judges, their registry, the runner and the verdict store."""
