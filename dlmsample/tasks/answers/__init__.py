"""Finding in a model's text what it gives as its answer: marks, numbers, code. Nothing here knows a task."""
