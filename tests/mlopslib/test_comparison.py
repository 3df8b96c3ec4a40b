"""Champion against challenger: the verdict, its sentence, and what it must not say."""

from __future__ import annotations

import json
import math
import time

import numpy as np
import pytest

from mlopslib.comparison import MonthScores, compare_models, verdict_of
from mlopslib.errors import InvalidDate, InvalidInput
from mlopslib.metrics.lift import lift_at
from mlopslib.metrics.ranking import auc, ks, paired_delong


def month(
    seed: int, *, n: int = 4000, champion: float = 0.6, challenger: float = 0.6, rate: float = 2.0
) -> MonthScores:
    """Scores that are the customer's true inclination plus noise of the given size."""
    rng = np.random.default_rng(seed)
    inclination = rng.normal(size=n)
    target = (rng.random(n) < 1 / (1 + np.exp(rate - inclination))).astype(float)
    return MonthScores(
        entity=np.array([f"C{i:07d}" for i in range(n)], dtype=object),
        target=target,
        champion=inclination + champion * rng.normal(size=n),
        challenger=inclination + challenger * rng.normal(size=n),
    )


def compare(months, *, margin_auc=0.005, replicates=30, **options):
    return compare_models(
        months,
        margin_auc=margin_auc,
        replicates=replicates,
        champion_label="v1",
        challenger_label="v2",
        **options,
    )


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.001, 0.01, "BETTER"),
        (0.0, 0.01, "NOT_WORSE"),
        (-0.004, 0.01, "NOT_WORSE"),
        (-0.004, -0.001, "NOT_WORSE"),
        (-0.005, 0.01, "CANNOT_TELL"),
        (-0.02, 0.0, "CANNOT_TELL"),
        (-0.02, -0.001, "WORSE"),
        (-0.005, -0.001, "WORSE"),
    ],
)
def test_the_verdict_follows_the_interval(low, high, verdict):
    assert verdict_of(low, high, margin=0.005) == verdict


def test_a_better_challenger_is_named_with_its_figures():
    report = compare({"202210": month(1, champion=1.5), "202211": month(2, champion=1.5)})
    assert report.verdict == "BETTER"
    assert report.pooled["auc_difference"]["low"] > 0
    assert report.sentence.startswith("v2 is better than v1: AUC 0.")
    assert "over 2 months and 4,000 customers" in report.sentence
    assert report.sentence.endswith("It was worse in no month.")
    assert report.worse_months == []


def test_a_worse_challenger_is_named_with_its_months():
    report = compare({"202210": month(1, challenger=1.5), "202211": month(2, challenger=1.5)})
    assert report.verdict == "WORSE"
    assert report.worse_months == ["202210", "202211"]
    assert report.sentence.startswith("v2 is worse than v1")
    assert "It was worse in 2022-10 (by 0." in report.sentence
    assert "more than chance) and 2022-11 (by 0." in report.sentence


def test_better_over_all_names_the_month_where_it_was_worse():
    months = {
        "202210": month(1, champion=2.0),
        "202211": month(2, challenger=1.2, champion=0.4),
        "202212": month(3, champion=2.0),
    }
    report = compare(months)
    assert report.verdict == "BETTER"
    assert report.worse_months == ["202211"]
    assert [row["verdict"] for row in report.months] == ["BETTER", "WORSE", "BETTER"]
    assert "It was worse in 2022-11 (by 0." in report.sentence


def test_the_same_model_again_is_not_worse():
    scores = month(1)
    again = MonthScores(scores.entity, scores.target, scores.champion, scores.champion)
    report = compare({"202210": again})
    assert report.verdict == "NOT_WORSE"
    assert report.pooled["auc_difference"] == {"value": 0.0, "low": 0.0, "high": 0.0, "p": 1.0}
    assert report.pooled["ks_difference"] == {"value": 0.0, "low": 0.0, "high": 0.0}
    assert report.swap_set == {"in_n": 0.0, "out_n": 0.0, "in_responders": 0.0, "out_responders": 0.0}
    assert "it may lose 0.005 AUC" in report.sentence


def test_too_few_rows_cannot_tell_and_say_what_would_show():
    report = compare({"202210": month(1, n=300)})
    assert report.verdict == "CANNOT_TELL"
    assert report.sentence.startswith("It cannot be told yet whether v2 is better than v1: AUC")
    assert f"A difference below {report.mde_auc:.4f} would often not show" in report.sentence


def test_no_fair_month_cannot_tell():
    report = compare({}, excluded={"202211": "labels are not complete before 202212"})
    assert report.verdict == "CANNOT_TELL"
    assert report.sentence == (
        "It cannot be told yet whether v2 is better than v1: no month judges both models fairly."
    )
    assert (report.months, report.pooled, report.mde_auc, report.swap_set) == ([], None, None, None)
    assert report.excluded == {"202211": "labels are not complete before 202212"}
    json.dumps(report.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    ("target", "reason"),
    [
        (0.0, "none of the 4,000 rows is a responder"),
        (1.0, "all 4,000 rows are responders"),
        (math.nan, "no row has a target"),
    ],
)
def test_a_month_without_both_classes_says_why_and_does_not_stop_the_others(target, reason):
    odd, good = month(1), month(2, champion=1.5)
    odd = MonthScores(odd.entity, np.full(4000, target), odd.champion, odd.challenger)
    report = compare({"202209": odd, "202210": good})
    first = report.months[0]
    assert (first["base_ym"], first["verdict"], first["reason"]) == ("202209", "CANNOT_TELL", reason)
    assert first["auc_difference"] is None
    assert report.verdict == "BETTER"
    assert report.pooled["n"] == 4000
    assert compare({"202209": odd}).verdict == "CANNOT_TELL"
    assert "no month could be measured" in compare({"202209": odd}).sentence
    json.dumps(report.to_dict(), allow_nan=False)


def test_a_month_of_one_responder_cannot_tell():
    scores = month(1, n=100)
    target = np.zeros(100)
    target[3] = 1
    report = compare({"202210": MonthScores(scores.entity, target, scores.champion, scores.challenger)})
    assert report.verdict == "CANNOT_TELL"
    assert report.mde_auc is None
    json.dumps(report.to_dict(), allow_nan=False)


def test_figures_of_a_month_are_those_of_the_metrics():
    scores = month(5)
    row = compare({"202210": scores}).months[0]
    paired = paired_delong(scores.target, scores.challenger, scores.champion)
    assert row["auc_champion"]["value"] == auc(scores.target, scores.champion)
    assert row["auc_difference"] == {
        "value": paired.difference,
        "low": paired.low,
        "high": paired.high,
        "p": paired.p,
    }
    assert row["ks_challenger"] == ks(scores.target, scores.challenger)
    assert row["lift10_challenger"] == lift_at(scores.target, scores.challenger)
    for name in ("ks", "lift10"):
        interval = row[f"{name}_difference"]
        assert interval["low"] < interval["value"] < interval["high"]
        assert interval["value"] == row[f"{name}_challenger"] - row[f"{name}_champion"]


def test_rows_without_a_target_are_counted_and_not_measured():
    scores = month(5)
    target = scores.target.copy()
    target[:100] = np.nan
    champion = scores.champion.copy()
    champion[:50] = np.nan  # nothing is asked of a row that is not measured
    row = compare({"202210": MonthScores(scores.entity, target, champion, scores.challenger)}).months[0]
    assert (row["n"], row["without_target"]) == (3900, 100)
    assert row["auc_challenger"]["value"] == auc(scores.target[100:], scores.challenger[100:])


def test_the_same_customers_again_add_no_certainty():
    scores = month(5)
    once = compare({"202210": scores})
    twelve = compare({f"2022{m:02d}": scores for m in range(1, 13)})
    width_once, width_twelve = (
        report.pooled["auc_difference"]["high"] - report.pooled["auc_difference"]["low"]
        for report in (once, twelve)
    )
    assert width_twelve == pytest.approx(width_once, rel=0.01)
    assert twelve.pooled["customers"] == 4000
    assert twelve.pooled["n"] == 48000


def test_the_swap_set_reconciles_to_the_row():
    report = compare({"202210": month(1, champion=1.0), "202211": month(2, champion=1.0)})
    captured = {name: table[0]["responders"] for name, table in report.deciles.items()}
    swap = report.swap_set
    assert swap["in_n"] == pytest.approx(swap["out_n"])
    assert swap["in_n"] > 0
    assert captured["challenger"] - captured["champion"] == pytest.approx(
        swap["in_responders"] - swap["out_responders"]
    )


def test_the_swap_set_reconciles_under_ties():
    rng = np.random.default_rng(3)
    n = 1003
    scores = MonthScores(
        entity=np.arange(n),
        target=(rng.random(n) < 0.2).astype(float),
        champion=rng.integers(0, 5, n).astype(float),
        challenger=rng.integers(0, 7, n).astype(float),
    )
    report = compare({"202210": scores})
    captured = {name: table[0]["responders"] for name, table in report.deciles.items()}
    swap = report.swap_set
    assert swap["in_n"] == pytest.approx(swap["out_n"])
    assert captured["challenger"] - captured["champion"] == pytest.approx(
        swap["in_responders"] - swap["out_responders"]
    )


def test_the_same_seed_gives_the_same_report_and_months_do_not_touch_each_other():
    months = {"202210": month(1), "202211": month(2)}
    assert compare(months).to_dict() == compare(dict(reversed(months.items()))).to_dict()
    alone = compare({"202211": months["202211"]})
    assert alone.months[0] == compare(months).months[1]
    assert compare(months, seed=1).months[0]["ks_difference"] != compare(months).months[0]["ks_difference"]


def test_months_are_in_order_whatever_order_they_came_in():
    report = compare({"202212": month(1), "202210": month(2)})
    assert [row["base_ym"] for row in report.months] == ["202210", "202212"]


def test_bad_input_is_named():
    scores = month(1, n=50)
    with pytest.raises(InvalidInput, match="may not be negative"):
        compare({"202210": scores}, margin_auc=-0.1)
    with pytest.raises(InvalidDate):
        compare({"2022-10": scores})
    with pytest.raises(InvalidInput, match="one length"):
        compare({"202210": MonthScores(scores.entity[1:], scores.target, scores.champion, scores.challenger)})
    with pytest.raises(InvalidInput, match="score of the challenger is missing"):
        compare({"202210": MonthScores(scores.entity, np.ones(50), scores.champion, np.full(50, np.nan))})
    with pytest.raises(InvalidInput, match="target must be"):
        compare({"202210": MonthScores(scores.entity, np.full(50, 2.0), scores.champion, scores.challenger)})


def test_equal_models_are_rarely_called_better_and_a_real_gain_is_found():
    better = found = 0
    runs = 100
    for seed in range(runs):
        alike = month(1000 + seed, n=1500, champion=0.8, challenger=0.8)
        better += _pooled_verdict(alike) == "BETTER"
        gain = month(5000 + seed, n=1500, champion=1.6, challenger=0.6)
        found += _pooled_verdict(gain) == "BETTER"
    assert better / runs <= 0.07  # one in forty expected
    assert found / runs >= 0.95


def _pooled_verdict(scores: MonthScores) -> str:
    paired = paired_delong(scores.target, scores.challenger, scores.champion)
    return verdict_of(paired.low, paired.high, margin=0.005)


def test_the_smallest_visible_difference_is_seen_in_four_of_five_cases():
    differences, claims = [], []
    for seed in range(150):
        report = paired_delong(*_with_gain(seed))
        differences.append(report.difference)
        claims.append(2.80 * report.standard_error)
    visible = float(np.mean(claims))
    spread = float(np.std(differences))
    # 2.8 standard errors: 80 % of estimates around such a truth lie more than 1.96 away from zero
    assert visible == pytest.approx(2.80 * spread, rel=0.15)


def _with_gain(seed: int):
    scores = month(seed, n=1200, champion=0.9)
    return scores.target, scores.challenger, scores.champion


def test_sixty_thousand_rows_take_seconds():
    months = {ym: month(seed, n=20_000, rate=3.0) for seed, ym in enumerate(("202210", "202211", "202212"))}
    started = time.process_time()
    report = compare(months, replicates=400)
    assert report.pooled["n"] == 60_000
    assert time.process_time() - started < 8  # two or three on a quiet machine
