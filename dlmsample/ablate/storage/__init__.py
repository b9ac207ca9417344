"""Where results are kept: one SQLite file a folder that survives kills, and the environments results come from."""
