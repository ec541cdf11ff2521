"""Planted faults (REL-15): `make plants` breaks one promise at a time in a copy of the tree and expects red tests."""
