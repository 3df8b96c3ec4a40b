from pathlib import Path

import pytest

from mlopslib.dates import add_months, month_range
from mlopslib.errors import InvalidInput
from mlopslib.offline.embedded import EmbeddedStore
from portal.demo.bank import TABLES, write_bank
from tests.demo.conftest import LAST_YM

MONTHS = month_range(add_months(LAST_YM, -23), LAST_YM)


def one(store: EmbeddedStore, sql: str) -> dict[str, object]:
    (row,) = store.read_sql(sql).to_pylist()
    return row


def test_every_table_has_its_months(bank: EmbeddedStore) -> None:
    assert bank.list_tables() == sorted(TABLES)
    for name in ("monthly_balances", "transactions", "app_visits", "loan_contracts"):
        assert bank.partitions(name, "ym") == MONTHS
    assert one(bank, "select count(*) n, count(distinct customer_id) k from customers") == {
        "n": 3000,
        "k": 3000,
    }
    per_customer_month = bank.read_sql("select count(*) n from transactions").to_pylist()[0]["n"] / 3000 / 24
    assert 1.8 < per_customer_month < 2.4


def test_days_and_months_are_text_and_agree(bank: EmbeddedStore) -> None:
    for table, day in (
        ("transactions", "txn_dt"),
        ("app_visits", "visit_dt"),
        ("loan_contracts", "contract_dt"),
    ):
        wrong = one(
            bank, f"select count(*) n from {table} where length({day}) <> 8 or substr({day}, 1, 6) <> ym"
        )
        assert wrong == {"n": 0}
    assert {column.type for column in bank.describe("customers") if column.name.endswith("_dt")} == {
        "varchar"
    }


def test_nothing_happens_before_a_customer_joins(bank: EmbeddedStore) -> None:
    for table in ("monthly_balances", "transactions", "app_visits", "loan_contracts"):
        early = one(
            bank,
            f"select count(*) n from {table} t join customers c on c.customer_id = t.customer_id "
            "where t.ym < substr(c.join_dt, 1, 6)",
        )
        assert early == {"n": 0}
    joiners = one(bank, f"select count(*) n from customers where join_dt > '{MONTHS[0]}31'")
    assert 200 < joiners["n"] < 400


def test_amounts_are_whole_won_and_never_negative(bank: EmbeddedStore) -> None:
    types = {column.name: column.type for column in bank.describe("monthly_balances")}
    assert {kind for name, kind in types.items() if name.endswith("_amt")} == {"bigint"}
    lowest = one(
        bank,
        "select min(demand_amt) d, min(savings_amt) s, min(overdraft_amt) o, min(loan_amt) l, "
        "max(card_used_amt - card_limit_amt) over_limit from monthly_balances",
    )
    assert min(lowest["d"], lowest["s"], lowest["o"], lowest["l"]) >= 0
    assert lowest["over_limit"] <= 0


def test_the_same_seed_gives_the_same_bank_and_another_one_another(tmp_path: Path) -> None:
    def rows(name: str, seed: int) -> list[object]:
        store = EmbeddedStore(tmp_path / name, threads=1)
        write_bank(store, customers=150, months=12, last_ym="202212", seed=seed)
        order = {"customers": "customer_id", "accounts": "account_id", "loan_contracts": "contract_id"}
        return [
            sorted(map(repr, store.read_sql(f"select * from {table}").to_pylist()))
            for table in [*order, "transactions", "app_visits", "monthly_balances"]
        ]

    first = rows("a", 1)
    assert rows("b", 1) == first
    assert rows("c", 2) != first


def test_a_bank_that_was_begun_is_made_again(tmp_path: Path) -> None:
    store = EmbeddedStore(tmp_path / "offline", threads=1)
    write_bank(store, customers=150, months=12, last_ym="202212")
    store.drop_table("loan_contracts")
    seen: list[float] = []
    write_bank(
        store,
        customers=120,
        months=12,
        last_ym="202212",
        on_progress=lambda done, total, text: seen.append(done / total),
    )
    assert one(store, "select count(*) n from customers") == {"n": 120}
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (0.0, 1.0)


@pytest.mark.parametrize("size", [{"customers": 99}, {"months": 11}])
def test_a_bank_that_is_too_small_is_refused(tmp_path: Path, size: dict[str, int]) -> None:
    with pytest.raises(InvalidInput, match="at least 100 customers and 12 months"):
        write_bank(EmbeddedStore(tmp_path), last_ym="202212", **size)
