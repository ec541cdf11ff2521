"""Gates say no: who gets in, how much, and with what content."""
