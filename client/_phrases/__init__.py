"""Rows of scores in words."""
