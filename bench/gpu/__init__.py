"""`make gpu-check`: the gpu profile on this machine's GPU, with whatever of it is installed."""
