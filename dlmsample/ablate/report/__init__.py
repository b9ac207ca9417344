"""What people read: the table as words, Markdown, CSV files and the HTML page with its pictures."""
