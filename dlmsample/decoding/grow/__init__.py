"""Answers whose length the model decides while they are decoded."""
