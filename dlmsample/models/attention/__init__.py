"""Attention masks, caches of keys and values, and the readers that make the forwards of a batch."""
