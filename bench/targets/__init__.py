"""The servers that are measured. Each is a process of its own, told by BENCH_UPSTREAM where its model is."""
