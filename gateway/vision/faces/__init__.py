"""Faces of consenting holders: found, measured, compared with this site's own references, and forgotten."""
