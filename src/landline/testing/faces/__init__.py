"""Strict checkers of the streams of every wire (FACE-17)."""
