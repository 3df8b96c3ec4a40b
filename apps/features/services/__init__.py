"""What the feature catalog does, as verbs."""

from __future__ import annotations

from apps.features.services.publish import create_feature_set

__all__ = ["create_feature_set"]
