"""How fast an update is, beside its peers and beside the matrix products alone. Nothing asserts a time."""
