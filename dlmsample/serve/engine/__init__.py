"""Decodes the jobs of all clients on one thread; knows no HTTP."""
