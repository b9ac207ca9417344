"""What there is: tables of policies, models and tasks (``tables``), one policy explained (``policy``), ``examples``."""
