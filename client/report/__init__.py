"""The report: one page with everything in it, to choose thresholds by looking. `python -m client.report SCORES`."""

from client.report.write import write_report

__all__ = ["write_report"]
