"""The one loop, its engines, and what keeps a run: settings, checkpoints, progress."""
