"""The future-poison test: what comes after the base date is changed, and no feature may move."""

from mlopslib.leakproof.proof import LeakProofResult, prove
from mlopslib.leakproof.scratch import StoreScratch

__all__ = ["LeakProofResult", "StoreScratch", "prove"]
