"""Decoding policies inside other people's servers."""
