"""The command line ``dlmsample``. Torch and transformers are imported only by the commands that need them."""
