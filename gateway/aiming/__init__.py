"""A live page for whoever aims a camera: what is read now, and what to change. It records nothing."""
