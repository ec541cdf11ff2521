"""Strict checkers of the streams of faces (FACE-17), one module for each wire; they know the wire and nothing else."""
