"""What results come to: configurations, figures, intervals, tests and comparisons. Nothing here writes a file."""
