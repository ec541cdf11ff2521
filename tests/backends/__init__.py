"""What the stores promise beyond the conformance suite."""
