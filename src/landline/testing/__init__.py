"""What tests of Landline, and of things built on it, are made with."""
