"""Forwards captured as CUDA graphs and updates compiled: the same tokens, without the launch of every kernel."""
