"""Frameworks in: one folder per framework, each a stranger to the others."""
