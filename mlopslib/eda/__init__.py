"""Looking at a month of features: distributions, correlations, association with a target.

Everything is counted and added up by the engine; what comes back are figures, never the table's rows.
"""

from mlopslib.eda.duplicates import NearDuplicate, near_duplicates
from mlopslib.eda.explore import explore
from mlopslib.eda.report import EdaReport

__all__ = ["EdaReport", "NearDuplicate", "explore", "near_duplicates"]
