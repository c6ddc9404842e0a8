"""Scripts that make the models and the fonts they are drawn with. In no wheel; extra `train`."""
