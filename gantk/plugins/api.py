"""The version of the plugin API: hooks, public names, and the interfaces of components.

A plugin names the version that it was written for, `gantk_api = 1`. The number grows when older plugins would break.
"""

API = 1
