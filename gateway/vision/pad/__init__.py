"""Presentation-attack detection (PAD): a face, or a picture of one? From physics, over some frames."""
