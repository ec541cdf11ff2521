"""The use cases: admit a run, drive it, log it, follow it, answer it, recover it. Knows no web, database or framework."""
