"""Outputs and verdicts as tables: schema, readers and writers, the bundled demo set."""
