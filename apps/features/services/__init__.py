"""What the feature catalog does, as verbs."""

from __future__ import annotations

from apps.features.services.check import CheckReport, check_sql
from apps.features.services.definition import SAMPLE_YM
from apps.features.services.draft import current_of, discard_draft, draft_of, save_draft
from apps.features.services.dry_run import DryRun, what_would_change
from apps.features.services.duplicates import Duplicates, find_duplicates
from apps.features.services.preview import Preview, preview
from apps.features.services.publish import create_feature_set, publish
from apps.features.services.retire import Use, delete, deprecate, deprecate_feature, restore, uses_of

__all__ = [
    "SAMPLE_YM",
    "CheckReport",
    "DryRun",
    "Duplicates",
    "Preview",
    "Use",
    "check_sql",
    "create_feature_set",
    "current_of",
    "delete",
    "deprecate",
    "deprecate_feature",
    "discard_draft",
    "draft_of",
    "find_duplicates",
    "preview",
    "publish",
    "restore",
    "save_draft",
    "uses_of",
    "what_would_change",
]
