"""Publish a materialised month to the online store, and hold a sample of it against the offline month."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from mlopslib.dates import add_months
from mlopslib.definition import FeatureSetSpec
from mlopslib.errors import DefinitionInvalid, EmptyMonth, OnlineStoreError
from mlopslib.online import open_online
from mlopslib.online.consistency import check_consistency
from mlopslib.profile import PARTITION
from mlopslib.steps.base import StepContext, StepResult

#: rows that are turned into bytes at a time
BATCH = 20_000


def run(ctx: StepContext) -> StepResult:
    """Publish the run's base month of its one feature set.

    ``params["time_zone"]``: where the bank's months end. ``params["last_generation"]``: the newest
    generation that the catalog remembers.

    Raises
    ------
    EmptyMonth
        The month is not materialised.
    OnlineStoreError
        Redis is away, or no online store is set up.
    """
    if len(ctx.feature_sets) != 1:
        raise DefinitionInvalid(
            f"a run of this template has one feature set, not {len(ctx.feature_sets)}", field="feature_set"
        )
    if not ctx.online_url:
        raise OnlineStoreError("there is no online store: name a Redis in ONLINE_URL")
    (feature_set,) = ctx.feature_sets
    _check_month(ctx, feature_set)
    names = [feature_set.entity_key, *(feature.name for feature in feature_set.features)]
    month = ctx.store.read_partition(feature_set.table, PARTITION, ctx.base_ym, columns=names)
    online = open_online(ctx.online_url, ctx.online_prefix)
    publication = online.publish(
        feature_set,
        ctx.base_ym,
        month.to_batches(max_chunksize=BATCH),
        end_of_month(ctx.base_ym, str(ctx.params.get("time_zone") or "UTC")),
        after=int(ctx.params.get("last_generation") or 0),
        on_progress=lambda entities: ctx.progress(entities, month.num_rows, "entities"),
    )
    ctx.log(
        f"generation {publication.generation}: {publication.entities:,} entities x {len(names) - 1} features "
        f"in {publication.seconds:.2f} s"
    )
    # another sample each time, the same one again for the same generation
    found = check_consistency(ctx.store, online, feature_set, seed=publication.generation)
    ctx.log(
        f"held against {ctx.base_ym}: {found.checked:,} entities, {found.equal:,} equal, "
        f"{found.missing:,} missing, {found.different:,} different"
    )
    return StepResult(
        summary=f"{feature_set.name} v{feature_set.version}: {publication.entities:,} entities of "
        f"{ctx.base_ym} online; {found.equal:,} of {found.checked:,} checked are equal",
        metrics={
            "publication": {
                "base_ym": publication.base_ym,
                "generation": publication.generation,
                "entities": publication.entities,
                "seconds": publication.seconds,
                "consistency": found.to_dict(),
            }
        },
    )


def end_of_month(ym: str, time_zone: str) -> datetime:
    """The last microsecond of a month, where the bank's clocks are.

    Examples
    --------
    >>> end_of_month("202602", "Asia/Seoul").isoformat()
    '2026-02-28T23:59:59.999999+09:00'
    """
    following = add_months(ym, 1)
    first = datetime(int(following[:4]), int(following[4:]), 1)
    return (first - timedelta(microseconds=1)).replace(tzinfo=ZoneInfo(time_zone))


def _check_month(ctx: StepContext, feature_set: FeatureSetSpec) -> None:
    months = ctx.store.partitions(feature_set.table, PARTITION)
    if ctx.base_ym in months:
        return
    newest = f"its newest month is {months[-1]}" if months else "it has no month yet"
    raise EmptyMonth(
        f"{feature_set.name} is not materialised for {ctx.base_ym}; {newest}: materialise it first",
        field="base_ym",
    )
