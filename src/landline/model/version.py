"""The version of Landline."""

__all__ = ["VERSION"]

VERSION = "0.1.0"
