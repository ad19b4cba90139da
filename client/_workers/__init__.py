"""Processes that do for a command what may crash, and talk with it over pipes."""
