"""Panels, coefficients, intervals, the judge table and flags: pure statistics over arrays."""
