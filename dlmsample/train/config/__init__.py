"""What is trained and how: the schema of a configuration, the recipes, and how options are put together with them."""

from __future__ import annotations

from dlmsample.train.config.compose import compose, finish, load
from dlmsample.train.config.recipes import recipe_data, recipes
from dlmsample.train.config.schema import TrainConfig, TrainError, parse

__all__ = ["TrainConfig", "TrainError", "compose", "finish", "load", "parse", "recipe_data", "recipes"]
