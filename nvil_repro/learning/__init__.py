"""Estimators: from samples to gradients, a few pure functions each."""
