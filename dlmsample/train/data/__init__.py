"""Training data: files and tasks to tokenised rows, rows to the batches of a step, batches to the model's input."""
