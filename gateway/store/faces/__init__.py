"""Biometric references: consent first, each holder's under a key of its own, and erasure that can be proved."""
