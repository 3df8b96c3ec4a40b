"""Whether the months that schedules promise stand in the offline store."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils import timezone

from apps.features.models import FeatureSet, Materialisation
from mlopslib.dates import add_months, month_range

#: how far back a missing month still counts: what has been late for longer is no news
MONTHS_BACK = 12


@dataclass(frozen=True)
class Freshness:
    """Feature sets by what their schedules say of them."""

    #: sets with an enabled schedule of materialisation
    scheduled: frozenset[int] = frozenset()
    #: set -> the first due month that does not stand in the store
    late: dict[int, str] = field(default_factory=dict)

    def of(self, feature_set_id: int) -> str:
        if feature_set_id in self.late:
            return "late"
        return "on_schedule" if feature_set_id in self.scheduled else "not_scheduled"


def freshness(now: datetime | None = None) -> Freshness:
    """Of every set in the catalog; two queries, one where nothing is scheduled."""
    now = now or timezone.now()
    due: dict[int, set[str]] = {}
    schedules = FeatureSet.objects.in_catalog().filter(
        pipelines__template="materialise", pipelines__schedules__is_enabled=True
    )
    columns = ("day_of_month", "hour", "lag_months", "created_at")
    for pk, day, hour, lag, since in schedules.order_by().values_list(
        "pk", *(f"pipelines__schedules__{column}" for column in columns)
    ):
        due.setdefault(pk, set()).update(due_months(day, hour, lag, since, now))
    first = min((month for months in due.values() for month in months), default=None)
    if first is None:
        return Freshness(frozenset(due))
    rows = Materialisation.objects.filter(feature_set__in=due, base_ym__gte=first).order_by()
    for pk, month in rows.values_list("feature_set_id", "base_ym"):
        due[pk].discard(month)
    return Freshness(frozenset(due), {pk: min(months) for pk, months in due.items() if months})


def due_months(
    day_of_month: int, hour: int, lag_months: int, since: datetime, now: datetime
) -> Iterator[str]:
    """Base months that a schedule made at `since` was due to make until `now`."""
    zone = ZoneInfo(settings.TIME_ZONE)
    last = f"{now.astimezone(zone):%Y%m}"
    first = max(f"{since.astimezone(zone):%Y%m}", add_months(last, -MONTHS_BACK))
    for month in month_range(first, last):
        if since <= _moment(month, day_of_month, hour, settings.TIME_ZONE) <= now:
            yield add_months(month, -lag_months)


@lru_cache(maxsize=2_048)
def _moment(month: str, day: int, hour: int, zone: str) -> datetime:
    return datetime(int(month[:4]), int(month[4:]), day, hour, tzinfo=ZoneInfo(zone)).astimezone(UTC)
