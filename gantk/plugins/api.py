"""The version of what plugins see of gantk: hooks, public names, and what the core asks of components.

A plugin says which one it was written for, `gantk_api = 1`. The number grows when a plugin for the one before breaks.
"""

API = 1
