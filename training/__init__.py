"""Clips with known motion, and the two small networks that learned from them: what `make demo` serves where it must.

`moves` says what a camera can do and what that is called, `camera`, `scene` and `light` make a clip of it, `renderer`
renders and `truth` tells what is true of it. `footage` sees it as the server would, `dataset` keeps many, `train`
learns from them, `senses` are what the motion network gets on the way (`clock`, `focus`), `calibration` says from when
on a label is reported, and `fresh` and `judging` ask a server about clips that training never saw.
"""
