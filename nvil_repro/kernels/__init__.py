"""The compiled CPU engine: Algorithm 1 for one replica at a time, its weights hot in the core's cache.

Hidden and visible units are bits, so a product with them is a sum of weight rows: only active units cost anything,
and a gradient row is added where it belongs without ever forming the gradient matrix. Replicas are independent;
threads share them out, and every number is the same whatever the number of threads. Needs numba.
"""
