"""The report: one page with everything in it, to choose thresholds by looking. `python -m client.report SCORES`."""
