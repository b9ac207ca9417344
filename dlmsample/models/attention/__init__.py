"""Which positions see which, the caches of keys and values, and the forwards that use them."""
