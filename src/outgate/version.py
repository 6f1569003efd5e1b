"""The version of this program, alone, so that every room can say it and none has to import the library for it."""

__all__ = ["__version__"]

__version__ = "0.1.0"
