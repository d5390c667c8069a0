"""One YAML file, the environment over it, every error with its place."""
