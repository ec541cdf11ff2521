"""Landline's own tests, laid out as the source is."""
