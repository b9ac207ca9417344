"""Evaluation by other people's harnesses: how probable a text is, and the model as lm-eval calls one."""
