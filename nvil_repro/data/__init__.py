"""From bytes to data sets: sources checked by content hash, readers of their formats, minibatches."""
