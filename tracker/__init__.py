"""Milepost: knows where every parcel is, and says so first."""

__version__ = "0.1.0"
