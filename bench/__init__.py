"""`python -m bench`: the server beside plain PyTorch, in one run on one machine."""
