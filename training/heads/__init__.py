"""Heads of one's own: small classifiers that learn from labelled videos, over the embeddings in a table of scores.

- Data: `labels` reads the labels, `tables` streams embeddings, `matching` finds the videos of the labels in the tables,
  `examples` puts them together, `split` divides them.
- Learning: `kinds` has a module for each kind of head, `batches` prepares batches and mixup, `fitting` is the loop.
- Results: `metrics` has figures with their intervals, `pictures` draws, `saved` reads and writes directories of heads.
- Commands: `training_run` trains one head, `comparison` all kinds.

`saved` and `kinds` need PyTorch and safetensors alone: the export imports them.
"""
