"""Python-based backends for a Triton that lacks the native ones; a folder has the name of the one it stands for."""
