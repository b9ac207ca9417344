"""An OpenAI-compatible server: requests join the running batch between forwards. HTTP needs the extra ``serve``."""
