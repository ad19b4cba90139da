"""Python-based backends for a Triton without the native ones; each folder is named after the backend it replaces."""
