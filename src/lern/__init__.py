"""The stream jobs behind Sunbird Lern's courses."""

from importlib.metadata import version

__version__ = version("lern-jobs")
