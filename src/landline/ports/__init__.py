"""What others must do for Landline, as Protocols, and `Runs`, what Landline does for faces."""
