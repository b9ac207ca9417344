"""What is read of a config.json: which keys it may have, the body's configuration, and how the checkpoint decodes."""
