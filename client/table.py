"""Read tables of scores: Parquet, JSON lines or CSV. Needs pyarrow (`pip install pyarrow`)."""

from ._tables.table import Metadata, TableError, read_batches, read_metadata, read_table

__all__ = ["Metadata", "TableError", "read_batches", "read_metadata", "read_table"]
