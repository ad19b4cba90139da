"""Training of the demo's two small networks on rendered clips whose motion is known; README.md has the whole story.

`heads` is another training: classifiers over embeddings, with labels of one's own.

- Clips: `moves` draws camera moves and their labels, `camera`, `scene` (`textures`, `photographs`) and `light` draw the
  rest, `renderer` renders frames, `encoding` encodes them, `truth` computes displacements and rates.
- Data: `samples` decodes a clip as the server does, `dataset` stores samples on disk, `augmentation` varies them.
- Learning: `network` is the model, `start` its first weights, `losses` what training minimises, `train` the loop.
  `weight_surgery` adds `temporal_channels` and `blur_filters` to the motion network in between.
- Results: `calibration` shifts the thresholds of labels, `checkpoint` writes the checkpoints, and `holdout` and
  `evaluation` compare a server's answers with the truth of clips that training never saw.
"""
