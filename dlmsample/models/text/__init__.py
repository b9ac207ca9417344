"""Prompts as text: chat messages, and the templates that turn them into one text."""
