"""Models without a model, one for each agent framework: a function says what is streamed; each imports its framework."""
