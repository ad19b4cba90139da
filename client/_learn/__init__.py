"""A filter that learns from yes and no: answers, features, training, and the file that `filter` reads."""
