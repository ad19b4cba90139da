"""A first pass over videos that are to be scored: which are surely static, black or frozen. Needs PyAV."""
