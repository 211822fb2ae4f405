"""Exported networks without torch: what `gantk export RUN -o X.onnx` wrote, run by NumPy and ONNX Runtime alone."""

from gantk.runtime.exported import Exported, load

__all__ = ["Exported", "load"]
