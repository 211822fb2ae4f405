"""A run's folder: names of its files, reading them even if they are damaged, and its lock."""
