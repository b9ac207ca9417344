"""What a grid file says: YAML with line numbers, the validated grid, its cells and what identifies a cell."""
