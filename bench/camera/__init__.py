"""How often camera labels are right, on data sets that people have."""
