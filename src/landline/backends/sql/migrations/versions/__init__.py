"""One file per schema revision, oldest first; `REVISIONS` lists them."""
