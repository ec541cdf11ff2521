"""What is told of a running server: logs now; metrics, traces and audit with their own steps."""
