"""The report: one self-contained HTML page for choosing thresholds."""
