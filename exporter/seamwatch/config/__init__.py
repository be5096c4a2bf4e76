"""The settings floor: what seamwatch.yaml may say."""
