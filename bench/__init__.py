"""`python -m bench`: the server compared with plain PyTorch, in one run on one machine."""
