"""`make gpu-check`: checks the gpu profile on this machine's GPU, as far as its packages are installed."""
