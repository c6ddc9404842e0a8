"""The desk at which holders enrol their face: consent first, then pictures in memory. It stores nothing itself."""
