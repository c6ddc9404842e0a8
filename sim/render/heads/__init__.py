"""A head of nobody, in three dimensions: what a camera sees of it, and of its picture on paper or on a screen.

Everything follows from seeds. The points are numbered as a face mesh's, so that a frame's landmarks are known exactly.
"""
