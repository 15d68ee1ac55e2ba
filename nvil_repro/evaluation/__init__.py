"""Bounds, importance-weighted estimates, exact enumeration and gradient variance."""
