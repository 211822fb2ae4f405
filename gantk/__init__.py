"""gantk: image-translation GANs from recipes, with every part a plugin.

What is public stands in `__init__.pyi`, for type checkers and for this file alike. Names are resolved on first use, so
that `import gantk` and `gantk --help` load neither torch nor MLflow.
"""

from importlib.metadata import PackageNotFoundError, version

import lazy_loader

try:
    __version__ = version("gantk")
except PackageNotFoundError:  # a source tree that is not installed
    __version__ = "0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
