"""Strict checkers of the streams of every wire (FACE-17)."""
"""Strict checkers of the wires that faces speak, one module per wire (FACE-17)."""
"""Strict checkers of the wires that faces speak, one module per wire (FACE-17)."""
"""Strict checkers of the wires that faces speak, one module per wire (FACE-17)."""
