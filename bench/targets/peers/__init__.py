"""Known servers with the same kind of agent. Each runs in an environment of its own (bench/peers.py)."""
