"""NVIL, reproduced: training and evaluating belief networks and undirected models, number beside number.

The rooms, in the order data flows: `data`, `models`, `learning`, `training`, `evaluation`, `reproduction`.
The core needs torch and numpy alone; everything else is imported where it is used.
"""

__version__ = "0.1.0"
