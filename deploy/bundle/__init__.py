"""`make gpu-bundle`: everything that the gpu profile needs on a machine without network, in one file or in pieces."""
