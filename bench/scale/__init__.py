"""How long a data set takes on many GPUs: a discrete-event model, and a real run to check it with."""
