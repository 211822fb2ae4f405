"""Random images and batch groups that look like the loader's."""

from gantk.data.made import make_group, make_image

__all__ = ["make_group", "make_image"]
