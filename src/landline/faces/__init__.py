"""Faces: clients out. Each is a stranger to the others and translates its wire to the same ports."""
