"""A bank that does not exist: customers, money, app visits and loans, month by month.

Who takes a loan follows two patterns. The *old* one: a full credit card, a current account that runs
dry, the age of a first home. The *new* one: looking at the app's loan pages, a salary that stays out, a
jump in card spending. In the first two thirds of the months the old pattern decides; in the last third
the new one takes over, fast at first. Habits move slowly from before the middle on: more app, fuller
cards, less cash. One month near the end brings a campaign by letter, to which people of the old pattern
answer. So a model trained before the change decays, and one trained on it is better in most months, not
in all.

The same seed gives the same bank.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from mlopslib.dates import add_months, first_day, month_range
from mlopslib.errors import InvalidInput
from mlopslib.offline.base import OfflineStore
from portal.demo.bank_rows import (
    DEVICES,
    JOBS,
    REGIONS,
    SEGMENTS,
    People,
    Rows,
    State,
    account_table,
    add_balances,
    add_transactions,
    add_visits,
    customer_table,
    days_of,
    pick,
    same,
)

SEED = 20221110
TABLES = ("customers", "accounts", "monthly_balances", "transactions", "app_visits", "loan_contracts")

#: share of the way from the old pattern to the new one, for the last 8 months; the campaign is apart
_TAKEOVER = (0.45, 0.70, 0.80, 0.85, 0.90, 0.95, 1.0, 1.0)
_CAMPAIGN_BEFORE_LAST = 3
_MONTHLY_RATE = 0.0235
_CAMPAIGN_RATE = 0.040
_CAMPAIGN_TAKEOVER = -1.0
_OLD_STRENGTH = 1.4
_NEW_STRENGTH = 1.7
#: what is left of the old pattern when the new one has taken over
_OLD_LEFT = 0.35
#: loans are paid back after so many months
_LOAN_MONTHS = 36

Progress = Callable[[float, float, str], None]


def write_bank(
    store: OfflineStore,
    *,
    customers: int = 20_000,
    months: int = 24,
    last_ym: str,
    seed: int = SEED,
    on_progress: Progress = lambda done, total, text: None,
) -> None:
    """Make the bank's six tables in `store`; tables of these names that are there already are replaced.

    `loan_contracts` is written last: where it exists, the bank is whole.

    Raises
    ------
    InvalidInput
        Fewer than 100 customers or 12 months.
    """
    if customers < 100 or months < 12:
        raise InvalidInput("a bank needs at least 100 customers and 12 months", field="customers")
    total = months + len(TABLES)
    yms = month_range(add_months(last_ym, 1 - months), last_ym)
    tables = _tables(yms, customers, seed, on_progress, total)
    for name in reversed(TABLES):
        if store.table_exists(name):
            store.drop_table(name)
    for number, (name, data) in enumerate(tables):
        on_progress(months + number, total, name)
        store.create_table(name, data, partition_by="ym" if "ym" in data.column_names else None)
    on_progress(total, total, "")


def _tables(
    yms: list[str], customers: int, seed: int, on_progress: Progress, total: int
) -> list[tuple[str, pa.Table]]:
    rng = np.random.default_rng(seed)
    people = _make_people(rng, customers, yms)
    state = _first_state(rng, people)
    balances, transactions, visits, loans = Rows(), Rows(), Rows(), Rows()
    for number, ym in enumerate(yms):
        on_progress(number, total, ym)
        days = days_of(ym)
        here = np.flatnonzero(people.joined <= number)
        # contracts of a month follow from what the customer looked like at the end of the month before
        _add_loans(rng, people, state, here, ym, days, _pattern(number, len(yms)), loans)
        drift = _drift(number, len(yms))
        salary, spend, loan_views = _move(rng, people, state, drift)
        add_balances(people, state, here, ym, drift, balances)
        add_transactions(rng, people, state, here, ym, days, salary, spend, transactions)
        add_visits(rng, people, here, ym, days, loan_views, drift, visits)
        state.loan_views_before = loan_views
    made = (customer_table(people), account_table(rng, people), balances.table())
    return list(zip(TABLES, (*made, transactions.table(), visits.table(), loans.table()), strict=True))


def _takeover(number: int, months: int) -> float:
    """How far the new pattern has taken over in a month, 0 before the last third."""
    step = number - (months - months // 3)
    if step < 0:
        return 0.0
    return float(np.interp(step / max(months // 3 - 1, 1), np.linspace(0, 1, len(_TAKEOVER)), _TAKEOVER))


def _pattern(number: int, months: int) -> tuple[float, float]:
    """(takeover, monthly rate) of the contracts of a month.

    The campaign's letters go to people who seldom use the app: less than nothing of the new pattern.
    """
    if number == months - 1 - _CAMPAIGN_BEFORE_LAST:
        return _CAMPAIGN_TAKEOVER, _CAMPAIGN_RATE
    return _takeover(number, months), _MONTHLY_RATE


def _drift(number: int, months: int) -> float:
    """How far habits (not decisions) have moved in a month, 0 to 1: app use, card use, cash.

    They begin before the decisions do, and move evenly.
    """
    begin = 5 * months // 12
    return float(np.clip((number - begin) / (months - 1 - begin), 0, 1))


def _make_people(rng: np.random.Generator, count: int, yms: list[str]) -> People:
    months = len(yms)
    job = rng.choice(len(JOBS), count, p=[0.40, 0.10, 0.17, 0.06, 0.09, 0.09, 0.09])
    year = int(yms[0][:4])
    age = np.clip(rng.normal(44, 13, count), 19, 79).round().astype(int)
    age[job == JOBS.index("STUDENT")] = rng.integers(19, 27, int((job == JOBS.index("STUDENT")).sum()))
    age[job == JOBS.index("RETIRED")] = rng.integers(58, 80, int((job == JOBS.index("RETIRED")).sum()))
    level = np.array([14.95, 14.90, 14.85, 15.45, 13.60, 14.20, 13.90])[job]
    income = np.exp(level + rng.normal(0, 0.38, count))
    wealth = income * np.exp(rng.normal(0.9, 0.8, count) + (age - 40) * 0.012)
    segment = np.where(age < 27, SEGMENTS.index("YOUTH"), SEGMENTS.index("MASS"))
    segment[(age >= 27) & (wealth > np.quantile(wealth, 0.72))] = SEGMENTS.index("PRIME")
    segment[(age >= 27) & (wealth > np.quantile(wealth, 0.96))] = SEGMENTS.index("PRIVATE")
    joined = np.where(rng.random(count) < 0.9, -1, rng.integers(0, max(months - 3, 1), count))
    before = rng.integers(1, 97, count)
    join_dt = [
        first_day(add_months(yms[0], -int(back))) if month < 0 else first_day(yms[month])
        for month, back in zip(joined.tolist(), before.tolist(), strict=True)
    ]
    salaried = np.array([0.95, 0.97, 0.25, 0.7, 0.15, 0.1, 0.08])[job]
    return People(
        ids=pa.array([f"{number:011d}" for number in range(1, count + 1)]),
        joined=joined,
        join_dt=join_dt,
        age=age,
        birth_year=year - age,
        segment=segment,
        region=rng.choice(len(REGIONS), count, p=[0.26, 0.27, 0.08, 0.13, 0.09, 0.07, 0.07, 0.03]),
        job=np.where(rng.random(count) < 0.04, -1, job),
        marketing=rng.random(count) < 0.55,
        income=income,
        wealth=wealth,
        card_limit=np.where(rng.random(count) < 0.8, np.round(income * rng.uniform(1.0, 3.0, count), -5), 0),
        has_salary=rng.random(count) < salaried,
        uses_app=np.clip(0.75 - (age - 45) * 0.006 + rng.normal(0, 0.35, count), 0.0, 1.6),
        device=np.where(age > 66, DEVICES.index("WEB"), (rng.random(count) < 0.42).astype(int)),
    )


def _first_state(rng: np.random.Generator, people: People) -> State:
    def normal() -> np.ndarray:
        return rng.normal(0, 1, people.count)

    cash = normal()
    # as many running loans as the monthly rate makes in the long run
    since = rng.geometric(_MONTHLY_RATE, people.count)
    return State(
        card=normal(),
        cash=cash,
        cash_before=[cash, cash],
        saving=normal(),
        spending=normal(),
        interest=normal(),
        salary_out=np.zeros(people.count, int),
        loan_views_before=np.zeros(people.count, int),
        months_since_loan=since,
        loan_amount=np.where(since < _LOAN_MONTHS, _loan_amounts(rng, people.income) * 0.97**since, 0.0),
    )


def _move(
    rng: np.random.Generator, people: People, state: State, drift: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One month of life: -> salary amount, card spending amount, views of loan pages."""

    def step(value: np.ndarray, memory: float) -> np.ndarray:
        return memory * value + np.sqrt(1 - memory**2) * rng.normal(0, 1, people.count)

    state.card = step(state.card, 0.93)
    state.cash_before = [state.cash_before[1], state.cash]
    state.cash = step(state.cash, 0.88)
    state.saving = step(state.saving, 0.97)
    state.spending = step(state.spending, 0.80)
    state.interest = step(state.interest, 0.86)
    stops = people.has_salary & (state.salary_out == 0) & (rng.random(people.count) < 0.02 + 0.03 * drift)
    state.salary_out = np.where(stops, rng.integers(2, 6, people.count), np.maximum(state.salary_out - 1, 0))
    salary = np.where(people.has_salary & (state.salary_out == 0), people.income, 0.0)
    level = np.exp(0.45 * state.spending + 0.28 * drift)
    spend = np.where(people.card_limit > 0, people.income * 0.3 * level, 0.0)
    views = rng.poisson(people.uses_app * np.exp(1.05 * state.interest - 1.7 + 0.9 * drift))
    return salary, spend, np.minimum(views, 25)


def _old_pattern(people: People, state: State) -> np.ndarray:
    falling = state.cash_before[0] - state.cash
    young_family = np.exp(-(((people.age - 37) / 8.0) ** 2))
    dry = (state.cash < -1.1).astype(float)
    segment = np.array([0.35, 0.0, -0.9, -0.2])[people.segment]
    card = np.where(people.card_limit > 0, state.card, -0.4)
    score = 1.0 * card + 0.65 * falling + 1.3 * young_family + 0.7 * dry + segment
    return (score - score.mean()) / score.std()


def _new_pattern(people: People, state: State) -> np.ndarray:
    looks = np.log1p(state.loan_views_before) + 0.35 * state.interest
    out = (state.salary_out > 0).astype(float)
    spends = np.where(people.card_limit > 0, state.spending, -0.3)
    score = 1.25 * looks + 1.9 * out + 0.85 * spends
    return (score - score.mean()) / score.std()


def _add_loans(
    rng: np.random.Generator,
    people: People,
    state: State,
    here: np.ndarray,
    ym: str,
    days: pa.Array,
    pattern: tuple[float, float],
    rows: Rows,
) -> None:
    takeover, rate = pattern
    wish = _OLD_STRENGTH * (1 - (1 - _OLD_LEFT) * takeover) * _old_pattern(people, state)
    wish += _NEW_STRENGTH * (0.08 + 0.92 * takeover) * _new_pattern(people, state)
    wish -= 1.2 * (state.months_since_loan < 7)
    chance = 1 / (1 + np.exp(-(wish + _level(wish[here], rate))))
    takes = here[rng.random(len(here)) < chance[here]]
    amount = _loan_amounts(rng, people.income[takes])
    state.months_since_loan += 1
    state.months_since_loan[takes] = 0
    state.loan_amount *= 0.97 * (state.months_since_loan < _LOAN_MONTHS)
    state.loan_amount[takes] += amount
    product = pa.array(
        np.array(["CREDIT_LINE", "PERSONAL", "HOUSING"])[rng.choice(3, len(takes), p=[0.4, 0.5, 0.1])]
    )
    rows.add(
        contract_id=pa.array([f"L{ym}{number:06d}" for number in range(1, len(takes) + 1)], pa.string()),
        customer_id=people.ids.take(pa.array(takes)),
        product=product.cast(pa.string()),
        amount=pa.array(amount.astype("int64")),
        rate_pct=pa.array(np.round(rng.uniform(3.2, 8.9, len(takes)), 2)),
        contract_dt=pick(days, rng, len(takes)),
        ym=same(ym, len(takes)),
    )


def _loan_amounts(rng: np.random.Generator, income: np.ndarray) -> np.ndarray:
    return np.round(income * rng.uniform(1, 8, len(income)), -6) + 1_000_000


def _level(wish: np.ndarray, rate: float) -> float:
    """The constant that makes the mean chance equal to `rate`, by halving."""
    low, high = -30.0, 30.0
    for _ in range(50):
        middle = (low + high) / 2
        if np.mean(1 / (1 + np.exp(-(wish + middle)))) > rate:
            high = middle
        else:
            low = middle
    return (low + high) / 2
