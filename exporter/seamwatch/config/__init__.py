"""The settings floor: what seamwatch.yaml may say, read and checked."""

from seamwatch.config.loading import Config, load
from seamwatch.config.problems import ConfigError, Problem

__all__ = ["Config", "ConfigError", "Problem", "load"]
