"""What the synthetic bank writes down: its people, a month's state, and rows of its tables."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from mlopslib.dates import last_day

SEGMENTS = ("MASS", "PRIME", "PRIVATE", "YOUTH")
REGIONS = ("SEOUL", "GYEONGGI", "INCHEON", "BUSAN", "DAEGU", "DAEJEON", "GWANGJU", "JEJU")
JOBS = ("EMPLOYEE", "PUBLIC", "SELF_EMPLOYED", "PROFESSIONAL", "STUDENT", "RETIRED", "HOME")
TXN_KINDS = ("SALARY", "CARD", "TRANSFER", "CASH", "FEE")
SHOPS = ("GROCERY", "DINING", "TRAVEL", "HEALTH", "ONLINE", "HOME")
PAGES = ("HOME", "LOAN", "CARD", "SAVINGS", "TRANSFER")
DEVICES = ("ANDROID", "IOS", "WEB")


@dataclass
class People:
    """What does not change from month to month; arrays of one entry for each customer."""

    ids: pa.Array
    joined: np.ndarray
    join_dt: list[str]
    #: in the first year
    age: np.ndarray
    birth_year: np.ndarray
    segment: np.ndarray
    region: np.ndarray
    job: np.ndarray
    marketing: np.ndarray
    income: np.ndarray
    wealth: np.ndarray
    card_limit: np.ndarray
    has_salary: np.ndarray
    uses_app: np.ndarray
    device: np.ndarray

    @property
    def count(self) -> int:
        return len(self.birth_year)


@dataclass
class State:
    """What a month hands to the next one, in standard units unless the name says amount."""

    card: np.ndarray
    cash: np.ndarray
    cash_before: list[np.ndarray]
    saving: np.ndarray
    spending: np.ndarray
    interest: np.ndarray
    salary_out: np.ndarray
    loan_views_before: np.ndarray
    months_since_loan: np.ndarray
    loan_amount: np.ndarray


@dataclass
class Rows:
    """Columns of a growing table, chunk by chunk."""

    chunks: list[pa.Table] = field(default_factory=list)

    def add(self, **columns: object) -> None:
        self.chunks.append(pa.table(columns))

    def table(self) -> pa.Table:
        return pa.concat_tables(self.chunks).combine_chunks()


def add_balances(people: People, state: State, here: np.ndarray, ym: str, drift: float, rows: Rows) -> None:
    def amount(values: np.ndarray) -> pa.Array:
        return pa.array(np.round(values[here], -1).astype("int64"))

    used = people.card_limit / (1 + np.exp(-(1.1 * state.card - 0.55 + 0.75 * drift)))
    demand = people.income * np.exp(0.75 * state.cash - 0.1 - 0.35 * drift)
    dry = state.cash < -1.1
    rows.add(
        customer_id=people.ids.take(pa.array(here)),
        demand_amt=amount(np.where(dry, 0.15, 1.0) * demand),
        savings_amt=amount(people.wealth * np.exp(0.5 * state.saving)),
        overdraft_amt=amount(np.where(dry, people.income * np.abs(state.cash) * 0.2, 0)),
        card_used_amt=amount(used),
        card_limit_amt=amount(people.card_limit),
        loan_amt=amount(state.loan_amount),
        ym=same(ym, len(here)),
    )


def add_transactions(
    rng: np.random.Generator,
    people: People,
    state: State,
    here: np.ndarray,
    ym: str,
    days: pa.Array,
    salary: np.ndarray,
    spend: np.ndarray,
    rows: Rows,
) -> None:
    paid = here[salary[here] > 0]
    cards = here[spend[here] > 0]
    cards = np.repeat(cards, 1 + rng.poisson(0.15, len(cards)))
    share = spend[cards] / np.bincount(cards, minlength=people.count)[cards]
    moves = np.repeat(here, rng.poisson(0.42, len(here)))
    # people who run dry draw cash and pay fees
    cash = np.repeat(here, rng.poisson(0.14 + 0.10 * (state.cash[here] < -0.5)))
    fees = np.repeat(here, rng.poisson(0.03 + 0.12 * (state.cash[here] < -1.1)))
    who = np.concatenate([paid, cards, moves, cash, fees])
    sizes = [len(paid), len(cards), len(moves), len(cash), len(fees)]
    kind = np.repeat(np.arange(len(TXN_KINDS)), sizes)
    amount = np.concatenate(
        [
            salary[paid],
            share,
            np.exp(rng.normal(11.8, 1.0, sizes[2])),
            10_000.0 * rng.integers(1, 31, sizes[3]),
            500.0 * rng.integers(1, 5, sizes[4]),
        ]
    )
    shop = np.where(kind == TXN_KINDS.index("CARD"), rng.integers(0, len(SHOPS), len(who)), -1)
    day = rng.integers(0, len(days), len(who))
    day[: sizes[0]] = rng.integers(20, 25, sizes[0])
    rows.add(
        customer_id=people.ids.take(pa.array(who)),
        txn_dt=days.take(pa.array(day)),
        kind=words_of(TXN_KINDS, kind),
        shop_kind=words_of(SHOPS, shop),
        amount=pa.array(np.maximum(np.round(amount), 1).astype("int64")),
        ym=same(ym, len(who)),
    )


def add_visits(
    rng: np.random.Generator,
    people: People,
    here: np.ndarray,
    ym: str,
    days: pa.Array,
    loan_views: np.ndarray,
    drift: float,
    rows: Rows,
) -> None:
    looks = np.repeat(here, loan_views[here])
    others = np.repeat(here, rng.poisson(people.uses_app[here] * (1.0 + 0.5 * drift)))
    who = np.concatenate([looks, others])
    other_pages = np.array([0, 2, 3, 4])[rng.choice(4, len(others), p=[0.4, 0.2, 0.15, 0.25])]
    page = np.concatenate([np.full(len(looks), PAGES.index("LOAN")), other_pages])
    elsewhere = rng.random(len(who)) < 0.06
    rows.add(
        customer_id=people.ids.take(pa.array(who)),
        visit_dt=pick(days, rng, len(who)),
        page=words_of(PAGES, page),
        device=words_of(DEVICES, np.where(elsewhere, DEVICES.index("WEB"), people.device[who])),
        seconds=pa.array(np.maximum(rng.exponential(70, len(who)), 1).astype("int64")),
        ym=same(ym, len(who)),
    )


def customer_table(people: People) -> pa.Table:
    return pa.table(
        {
            "customer_id": people.ids,
            "join_dt": pa.array(people.join_dt),
            "birth_year": pa.array(people.birth_year.astype("int64")),
            "segment": words_of(SEGMENTS, people.segment),
            "region": words_of(REGIONS, people.region),
            "job": words_of(JOBS, people.job),
            "marketing_yn": words_of(("N", "Y"), people.marketing.astype(int)),
        }
    )


def account_table(rng: np.random.Generator, people: People) -> pa.Table:
    everybody = np.arange(people.count)
    owners = [
        everybody,
        everybody[rng.random(people.count) < 0.7],
        everybody[rng.random(people.count) < 0.25],
        everybody[people.card_limit > 0],
    ]
    who = np.concatenate(owners)
    product = np.repeat(np.arange(4), [len(group) for group in owners])
    return pa.table(
        {
            "account_id": pa.array([f"A{number:09d}" for number in range(1, len(who) + 1)]),
            "customer_id": people.ids.take(pa.array(who)),
            "product": words_of(("DEMAND", "SAVINGS", "DEPOSIT", "CARD"), product),
            "open_dt": pa.array(people.join_dt).take(pa.array(who)),
        }
    )


def days_of(ym: str) -> pa.Array:
    return pa.array([f"{ym}{day:02d}" for day in range(1, int(last_day(ym)[6:]) + 1)])


def pick(values: pa.Array, rng: np.random.Generator, count: int) -> pa.Array:
    return values.take(pa.array(rng.integers(0, len(values), count)))


def words_of(words: tuple[str, ...], codes: np.ndarray) -> pa.Array:
    """Codes as words; -1 is missing."""
    return pa.array(words).take(pa.array(codes, mask=codes < 0))


def same(value: str, count: int) -> pa.Array:
    return pa.array([value]).take(pa.array(np.zeros(count, int)))
