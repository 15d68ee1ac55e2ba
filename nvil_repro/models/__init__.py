"""Conditionals and nets: log-probabilities and samplers, replicas first."""
