"""``dlmsample serve`` and ``dlmsample chat``: models that stay loaded."""
