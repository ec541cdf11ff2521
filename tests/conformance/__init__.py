"""The published conformance suites, run on Landline's own units."""
