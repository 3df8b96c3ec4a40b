"""What the demo's data scientist wrote: three feature sets and the loan-needs model."""

from __future__ import annotations

from dataclasses import dataclass

from mlopslib.definition import Derived, FeatureRef, FeatureSetSpec, FeatureSpec, Gates, ModelSpec, Windows


@dataclass(frozen=True)
class DemoFeatureSet:
    spec: FeatureSetSpec
    title: str
    description: str
    domain: str
    tags: tuple[str, ...] = ()


def _number(name: str, description: str) -> FeatureSpec:
    return FeatureSpec(name, "numeric", description)


def _category(name: str, description: str) -> FeatureSpec:
    return FeatureSpec(name, "category", description)


_BALANCE_SQL = """\
SELECT c.customer_id,
       c.segment,
       c.region,
       c.job,
       c.marketing_yn,
       CAST(SUBSTR('{base_ym}', 1, 4) AS INT) - c.birth_year AS age,
       (CAST(SUBSTR('{base_ym}', 1, 4) AS INT) - CAST(SUBSTR(c.join_dt, 1, 4) AS INT)) * 12
         + CAST(SUBSTR('{base_ym}', 5, 2) AS INT) - CAST(SUBSTR(c.join_dt, 5, 2) AS INT) AS tenure_months,
       MAX(CASE WHEN b.ym = '{base_ym}' THEN b.demand_amt END) AS demand_amt,
       MAX(CASE WHEN b.ym = '{bf_2m_ym}' THEN b.demand_amt END) AS demand_amt_bf_2m,
       MAX(CASE WHEN b.ym = '{base_ym}' THEN b.savings_amt END) AS savings_amt,
       MAX(CASE WHEN b.ym = '{base_ym}' THEN b.card_used_amt END) AS card_used_amt,
       MAX(CASE WHEN b.ym = '{base_ym}' THEN b.card_limit_amt END) AS card_limit_amt,
       MAX(CASE WHEN b.ym = '{base_ym}' THEN b.loan_amt END) AS loan_amt,
       SUM(CASE WHEN b.overdraft_amt > 0 THEN 1 ELSE 0 END) AS overdraft_months_3m,
       MAX(CASE WHEN b.ym = '{base_ym}' AND b.overdraft_amt > 0 THEN 'Y' ELSE 'N' END) AS overdraft_yn
  FROM customers c
  JOIN monthly_balances b
    ON b.customer_id = c.customer_id
   AND b.ym BETWEEN '{bf_2m_ym}' AND '{base_ym}'
 WHERE c.join_dt <= '{base_dt}'
 GROUP BY c.customer_id, c.segment, c.region, c.job, c.marketing_yn, c.birth_year, c.join_dt
"""

_TXN_SQL = """\
SELECT c.customer_id,
       COUNT(DISTINCT CASE WHEN t.kind = 'SALARY' THEN t.ym END) AS salary_months_3m,
       NVL(MAX(CASE WHEN t.kind = 'SALARY' AND t.ym = '{base_ym}' THEN 1 END), 0) AS salary_cnt_1m,
       MAX(CASE WHEN t.kind = 'SALARY' THEN t.amount END) AS salary_max_3m,
       SUM(CASE WHEN t.kind = 'CARD' AND t.ym = '{base_ym}' THEN t.amount ELSE 0 END) AS card_spend_1m,
       SUM(CASE WHEN t.kind = 'CARD' THEN t.amount ELSE 0 END) AS card_spend_3m,
       COUNT(DISTINCT CASE WHEN t.kind = 'CARD' THEN t.shop_kind END) AS shop_kinds_3m,
       SUM(CASE WHEN t.kind = 'TRANSFER' THEN t.amount ELSE 0 END) AS transfer_amt_3m,
       SUM(CASE WHEN t.kind = 'CASH' THEN 1 ELSE 0 END) AS cash_cnt_3m,
       SUM(CASE WHEN t.kind = 'FEE' THEN t.amount ELSE 0 END) AS fee_amt_3m,
       MAX(a.products) AS products
  FROM customers c
  JOIN (SELECT customer_id, COUNT(DISTINCT product) AS products
          FROM accounts
         WHERE open_dt <= '{base_dt}'
         GROUP BY customer_id) a
    ON a.customer_id = c.customer_id
  LEFT JOIN transactions t
    ON t.customer_id = c.customer_id
   AND t.ym BETWEEN '{bf_2m_ym}' AND '{base_ym}'
   AND t.txn_dt BETWEEN '{bf_2m_dt}' AND '{base_dt}'
 WHERE c.join_dt <= '{base_dt}'
 GROUP BY c.customer_id
"""

_APP_SQL = """\
SELECT v.customer_id,
       COUNT(*) AS app_visits_3m,
       COUNT(DISTINCT v.visit_dt) AS app_days_3m,
       SUM(CASE WHEN v.page = 'LOAN' THEN 1 ELSE 0 END) AS loan_views_3m,
       SUM(CASE WHEN v.page = 'LOAN' AND v.ym = '{base_ym}' THEN 1 ELSE 0 END) AS loan_views_1m,
       SUM(CASE WHEN v.page = 'SAVINGS' THEN 1 ELSE 0 END) AS savings_views_3m,
       AVG(v.seconds) AS visit_seconds_avg,
       DATEDIFF(TO_TIMESTAMP('{base_dt}', 'yyyyMMdd'), TO_TIMESTAMP(MAX(v.visit_dt), 'yyyyMMdd'))
         AS days_since_visit,
       CASE WHEN SUM(CASE WHEN v.device = 'IOS' THEN 1 ELSE 0 END) * 2 > COUNT(*) THEN 'IOS'
            WHEN SUM(CASE WHEN v.device = 'ANDROID' THEN 1 ELSE 0 END) * 2 > COUNT(*) THEN 'ANDROID'
            ELSE 'WEB' END AS main_device
  FROM app_visits v
 WHERE v.ym BETWEEN '{bf_2m_ym}' AND '{base_ym}'
   AND v.visit_dt BETWEEN '{bf_2m_dt}' AND '{base_dt}'
 GROUP BY v.customer_id
"""

_TARGET_SQL = """\
SELECT c.customer_id,
       MAX(CASE WHEN l.contract_id IS NOT NULL THEN 1 ELSE 0 END) AS target
  FROM customers c
  LEFT JOIN loan_contracts l
    ON l.customer_id = c.customer_id
   AND l.ym BETWEEN '{af_1m_ym}' AND '{af_2m_ym}'
 WHERE c.join_dt <= '{base_dt}'
 GROUP BY c.customer_id
"""

FEATURE_SETS = (
    DemoFeatureSet(
        spec=FeatureSetSpec(
            name="cust_balance",
            version=1,
            entity_key="customer_id",
            sql=_BALANCE_SQL,
            features=(
                _category("segment", "Segment of the customer"),
                _category("region", "Where the customer lives"),
                _category("job", "Kind of work; missing where the customer did not say"),
                _category("marketing_yn", "Y: agreed to be written to"),
                _number("age", "Years of age in the base month"),
                _number("tenure_months", "Months since the customer joined"),
                _number("demand_amt", "Current account at the end of the base month, won"),
                _number("demand_amt_bf_2m", "Current account two months before, won"),
                _number("savings_amt", "Savings and deposits, won"),
                _number("card_used_amt", "Credit card used, won"),
                _number("card_limit_amt", "Credit card limit, won; 0 without a card"),
                _number("loan_amt", "Loans outstanding, won"),
                _number("overdraft_months_3m", "Months with an overdraft in the last 3"),
                _category("overdraft_yn", "Y: overdrawn at the end of the base month"),
            ),
        ),
        title="Customer and balances",
        description="Who the customer is, and what stands on the accounts now and two months ago.",
        domain="Deposits",
        tags=("balance", "customer"),
    ),
    DemoFeatureSet(
        spec=FeatureSetSpec(
            name="cust_txn",
            version=1,
            entity_key="customer_id",
            sql=_TXN_SQL,
            features=(
                _number("salary_months_3m", "Months with a salary in the last 3"),
                _number("salary_cnt_1m", "1: a salary came in the base month"),
                _number("salary_max_3m", "Largest salary in the last 3 months, won; missing without one"),
                _number("card_spend_1m", "Card spending in the base month, won"),
                _number("card_spend_3m", "Card spending in the last 3 months, won"),
                _number("shop_kinds_3m", "Different kinds of shop in the last 3 months"),
                _number("transfer_amt_3m", "Transfers out in the last 3 months, won"),
                _number("cash_cnt_3m", "Cash withdrawals in the last 3 months"),
                _number("fee_amt_3m", "Fees paid in the last 3 months, won"),
                _number("products", "Different products held"),
            ),
        ),
        title="Transactions",
        description="Salary, card, cash and fees over the last three months.",
        domain="Payments",
        tags=("transactions", "3 months"),
    ),
    DemoFeatureSet(
        spec=FeatureSetSpec(
            name="cust_app",
            version=1,
            entity_key="customer_id",
            sql=_APP_SQL,
            features=(
                _number("app_visits_3m", "Pages seen in the app in the last 3 months"),
                _number("app_days_3m", "Days with a visit in the last 3 months"),
                _number("loan_views_3m", "Loan pages seen in the last 3 months"),
                _number("loan_views_1m", "Loan pages seen in the base month"),
                _number("savings_views_3m", "Savings pages seen in the last 3 months"),
                _number("visit_seconds_avg", "Mean seconds on a page"),
                _number("days_since_visit", "Days from the last visit to the end of the base month"),
                _category("main_device", "Device of more than half of the visits, else WEB"),
            ),
        ),
        title="App visits",
        description="What the customer looked at in the app. Customers without a visit have no row.",
        domain="Channels",
        tags=("app", "3 months"),
    ),
)

MODEL_TITLE = "Loan needs"
MODEL_DESCRIPTION = (
    "Who takes a loan in the two months after the base month. The score orders customers for the offer in "
    "the app; it grants nothing."
)

#: columns that a loan offer may not rest on, or that say the same as another one
_LEFT_OUT = {"marketing_yn", "savings_views_3m", "visit_seconds_avg"}

MODEL = ModelSpec(
    name="loan_needs",
    entity_key="customer_id",
    target_sql=_TARGET_SQL,
    features=tuple(
        FeatureRef(item.spec.name, item.spec.version, feature.name, feature.dtype)
        for item in FEATURE_SETS
        for feature in item.spec.features
        if feature.name not in _LEFT_OUT
    ),
    derived=(
        Derived("card_use_ratio", "card_used_amt / card_limit_amt"),
        Derived(
            "demand_change_2m", "(demand_amt - demand_amt_bf_2m) / max(demand_amt, demand_amt_bf_2m, 10000)"
        ),
        Derived("savings_share", "savings_amt / (savings_amt + demand_amt)"),
        Derived("salary_stopped", "if(salary_months_3m > 0, if(salary_cnt_1m < 1, 1, 0), 0)"),
        Derived("card_spend_growth", "card_spend_1m / (card_spend_3m / 3)"),
        Derived("loan_view_share", "coalesce(loan_views_3m, 0) / max(coalesce(app_visits_3m, 0), 1)"),
        Derived("savings_to_salary", "log(1 + savings_amt / max(coalesce(salary_max_3m, 0), 1000000))"),
    ),
    params={
        "num_leaves": 12,
        "learning_rate": 0.05,
        "n_estimators": 120,
        "min_child_samples": 150,
        "feature_fraction": 0.8,
        "reg_lambda": 5.0,
    },
    windows=Windows(performance_months=2, data_lag_months=0, train_months=4, oot_months=3),
    gates=Gates(min_oot_auc=0.65, min_lift_at_10=1.8),
)
