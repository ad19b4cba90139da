"""The report: one self-contained HTML page to choose thresholds by looking."""
