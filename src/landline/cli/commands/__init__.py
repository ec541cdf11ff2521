"""One module per command; each has an `app`. They translate: options in, a call, lines or JSON out."""
