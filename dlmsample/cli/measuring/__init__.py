"""Commands that ask tasks: of lm-eval, of your own, and to choose a policy."""
