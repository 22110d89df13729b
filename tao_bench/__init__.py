"""TAO-Bench: tasks, verifiers, arms, runs, statistics and reports. Imports `tao`; `tao` never imports it."""

from tao import __version__

__all__ = ["__version__"]
