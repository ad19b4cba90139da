"""How well frames and captions fit."""
