"""Where things are kept: one folder per store of rows or bytes."""
