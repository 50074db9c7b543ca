"""Proofs of the promises in the README: what happens to a store that is killed, refused, cut off, crowded or attacked.

They run with all other tests, briefly. `python -m tests.proofs` runs them at length and says how much was tried.
"""
