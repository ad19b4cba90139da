"""How often verdicts are right, on rendered clips of known kinds."""
