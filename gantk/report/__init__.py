"""The report of a run: pictures in fixed windows, curves, and a page that needs nothing but itself."""
