"""A run's folder: the names of its files, reading them whatever happened to them, and who works on it."""
