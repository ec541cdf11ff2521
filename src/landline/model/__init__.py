"""Frozen data that every room speaks: events, messages, threads, runs, callers, errors, ids. No I/O here."""
