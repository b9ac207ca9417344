"""What decodes: units of work, the worker that decodes them, and pools of workers on this machine or on Ray."""
