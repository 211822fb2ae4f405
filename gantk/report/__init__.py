"""The report of a run: pictures in fixed windows, curves, and a self-contained page."""
