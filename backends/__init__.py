"""Python-based backends for a Triton that lacks the native ones: folders named after the backend that they stand for."""
