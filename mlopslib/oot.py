"""Which months a model may learn from, which may judge it, and which are too young for either.

The base month b of a row has three windows: its features read up to the end of b, its target looks
at b+1 .. b+W (`performance_months`), and the labels are complete L months after that
(`data_lag_months`). Months are counted by the calendar, not by days.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from mlopslib.dates import add_months, month_range, months_between, validate_ym
from mlopslib.definition import Windows
from mlopslib.errors import DefinitionInvalid


@dataclass(frozen=True)
class MonthPlan:
    """The months of one training run, each oldest first.

    `train` and `oot` have labels; `embargo` lies between them, so that no training label looks into an
    OOT month; `recent` are the months after the last mature one, up to the base month: they are scored
    and counted, not measured.
    """

    train: tuple[str, ...]
    oot: tuple[str, ...]
    embargo: tuple[str, ...]
    recent: tuple[str, ...]


@dataclass(frozen=True)
class FairMonths:
    """Months on which two models may be compared, and why each of the others may not."""

    fair: tuple[str, ...]
    excluded: Mapping[str, str]


def is_mature(month: str, at_base_ym: str, windows: Windows) -> bool:
    """Whether the labels of base month `month` are complete at the end of `at_base_ym`.

    Mature iff ``month + W + L <= at_base_ym`` in calendar months.

    Examples
    --------
    >>> is_mature("202208", "202210", Windows(performance_months=2))
    True
    >>> is_mature("202209", "202210", Windows(performance_months=2))
    False
    """
    return months_between(month, at_base_ym) >= _label_months(windows)


def latest_mature(base_ym: str, windows: Windows) -> str:
    """The youngest base month whose labels are complete at the end of `base_ym`.

    Examples
    --------
    >>> latest_mature("202210", Windows(performance_months=2, data_lag_months=1))
    '202207'
    """
    return add_months(base_ym, -_label_months(windows))


def plan_months(base_ym: str, windows: Windows) -> MonthPlan:
    """Split the past of a run into train, embargo, OOT and recent months.

    From the youngest backwards: `recent` (immature), then `oot_months` mature months, then the embargo,
    then `train_months`.

    Parameters
    ----------
    base_ym
        The run's base month: the youngest month whose features exist.
    windows
        The model's windows. ``embargo_months`` months lie strictly between training and OOT; None means
        W. The target of the last training month t ends at t+W, and the first OOT month is t+embargo+1:
        with an embargo of W or more no training label looks into an OOT base month, so the embargo may
        not be shorter.

    Raises
    ------
    InvalidDate
        If `base_ym` is not a month.
    DefinitionInvalid
        If a window is negative, a count of months is below one, or the embargo is shorter than W.

    Examples
    --------
    >>> plan = plan_months("202210", Windows(performance_months=2, train_months=3, oot_months=2))
    >>> plan.train
    ('202202', '202203', '202204')
    >>> plan.embargo, plan.oot, plan.recent
    (('202205', '202206'), ('202207', '202208'), ('202209', '202210'))
    """
    validate_ym(base_ym)
    embargo_months = _check(windows)
    last_oot = latest_mature(base_ym, windows)
    first_oot = add_months(last_oot, 1 - windows.oot_months)
    last_train = add_months(first_oot, -embargo_months - 1)
    first_train = add_months(last_train, 1 - windows.train_months)
    return MonthPlan(
        train=tuple(month_range(first_train, last_train)),
        oot=tuple(month_range(first_oot, last_oot)),
        embargo=tuple(month_range(add_months(last_train, 1), add_months(first_oot, -1))),
        recent=tuple(month_range(add_months(last_oot, 1), base_ym)),
    )


def fair_months(
    candidates: Iterable[str],
    *,
    champion_train: Collection[str],
    challenger_train: Collection[str],
    windows: Windows,
    at_base_ym: str,
    champion_performance_months: int | None = None,
) -> FairMonths:
    """Of the candidate months, those that judge both models fairly.

    A month is fair if its labels are complete at `at_base_ym` and if, for both models, it lies later than
    every training month and later than the W months that the last training labels look into. An older
    month that a model skipped is not fair either: features of its later training months have read the
    outcome. `windows` are the challenger's; a champion whose target looked at another number of months
    says so in `champion_performance_months`.

    Returns
    -------
    FairMonths
        ``fair`` and ``excluded`` (month -> reason in words) together hold every candidate once.

    Examples
    --------
    >>> found = fair_months(
    ...     ["202206", "202207", "202208", "202209"],
    ...     champion_train=["202204", "202205"],
    ...     challenger_train=["202205", "202206"],
    ...     windows=Windows(performance_months=1),
    ...     at_base_ym="202209",
    ... )
    >>> found.fair
    ('202208',)
    >>> found.excluded["202209"]
    'labels are not complete before 202210'
    """
    looks_ahead = windows.performance_months
    trained_on = (
        _Trained("champion", champion_train, champion_performance_months or looks_ahead),
        _Trained("challenger", challenger_train, looks_ahead),
    )
    excluded: dict[str, str] = {}
    fair: list[str] = []
    for month in sorted(set(candidates)):
        reason = _unfair(month, trained_on, windows, at_base_ym)
        if reason:
            excluded[month] = reason
        else:
            fair.append(month)
    return FairMonths(fair=tuple(fair), excluded=excluded)


@dataclass(frozen=True)
class _Trained:
    """The months that a model learned from, and how many months after each its labels looked at."""

    who: str
    months: Collection[str]
    looks_ahead: int


def _unfair(month: str, trained: tuple[_Trained, ...], windows: Windows, at_base_ym: str) -> str | None:
    if not is_mature(month, at_base_ym, windows):
        return f"labels are not complete before {add_months(month, _label_months(windows))}"
    for model in trained:
        if month in model.months:
            return f"the {model.who} was trained on this month"
    for model in trained:
        if not model.months:
            continue
        last = max(model.months)
        after = months_between(last, month)
        if after < 0:
            return f"not out of time for the {model.who}, which was trained on months up to {last}"
        if after <= model.looks_ahead:
            return f"labels that the {model.who} was trained on look into this month"
    return None


def _label_months(windows: Windows) -> int:
    return windows.performance_months + windows.data_lag_months


def _check(windows: Windows) -> int:
    """The embargo in months, after all windows were found possible."""
    least = {
        "performance_months": (windows.performance_months, 1),
        "data_lag_months": (windows.data_lag_months, 0),
        "train_months": (windows.train_months, 1),
        "oot_months": (windows.oot_months, 1),
    }
    for name, (value, minimum) in least.items():
        if value < minimum:
            raise DefinitionInvalid(f"{name} is {value}: it must be at least {minimum}", field=name)
    if windows.embargo_months is None:
        return windows.performance_months
    if windows.embargo_months < windows.performance_months:
        raise DefinitionInvalid(
            f"embargo_months is {windows.embargo_months}: with fewer than performance_months "
            f"({windows.performance_months}) training labels would look into OOT months",
            field="embargo_months",
        )
    return windows.embargo_months
