"""Model packages: built and proved once, read and checked everywhere, deployed by signed manifests.

`mlopslib.package.build` (pandas, scikit-learn, LightGBM) is imported by the step that builds; what the
serving worker needs is here and imports none of them.
"""

from mlopslib.package.read import ModelPackage, read_package
from mlopslib.package.verify import ParityReport, verify_native, verify_package

__all__ = ["ModelPackage", "ParityReport", "read_package", "verify_native", "verify_package"]
