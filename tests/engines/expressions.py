"""Expressions in Impala SQL whose values every engine must agree on, over the rows of one table."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pandas as pd

TABLE = "value_cases"
_D, _T = dt.date, dt.datetime
#: id, grp, n, k, x, y, m, b, d, ts, day, ym, s, e, z
_ROWS: list[tuple[object, ...]] = [
    (1, "a", 7, 3, 12.5, 0.1, Decimal("12.7500"), True, _D(2024, 2, 29), _T(2024, 2, 29, 23, 59, 59, 999999),
     "20240229", "202402", "north", "it's", "12.7"),
    (2, "a", -7, 3, -12.5, 2.5, Decimal("-12.7500"), False, _D(2023, 12, 31), _T(2023, 12, 31, 0, 0, 0),
     "20231231", "202312", "South-East", 'say "x"', "-12.7"),
    (3, "a", None, 2, 200.0, None, None, None, None, None, None, None, None, None, None),
    (4, "b", 0, 5, 0.0, -0.5, Decimal("0.0000"), True, _D(2022, 1, 31), _T(2022, 1, 31, 10, 20, 30, 123456),
     "20220131", "202201", "", "a\\b_%", ""),
    (5, "b", 9007199254740993, 1, 1e15, 1e-7, Decimal("99999999.9999"), False, _D(1999, 3, 1),
     _T(1999, 3, 1, 12, 0, 0), "19990301", "199903", "  pad  ", "한글 은행", "9007199254740993"),
    (6, "b", -1, 7, 2.5, 1.5, Decimal("0.0001"), None, _D(2024, 1, 1), _T(2024, 1, 1, 6, 30, 0),
     "20240101", "202401", "a,b,c", "🙂 ok", "abc"),
    (7, "c", 100, -3, -0.4999, 3.0, Decimal("2.5000"), True, _D(2022, 10, 30), _T(2022, 10, 30, 1, 2, 3),
     "20221030", "202210", "ab12cd345", "tab\there", "1e3"),
    (8, "c", 12345, 10, 3.14159265, -2.0, Decimal("-0.5000"), False, _D(1970, 1, 1), _T(1970, 1, 1, 0, 0, 1),
     "19700101", "197001", "North", "line\nbreak", " 5 "),
    (9, "c", 12345, 10, 3.14159265, -2.0, Decimal("1.0050"), None, _D(2021, 1, 3), _T(2021, 1, 3, 18, 45, 15),
     "n/a", "n/a", "north", "C:\\x'y", "007"),
]  # fmt: skip
COLUMNS = ["id", "grp", "n", "k", "x", "y", "m", "b", "d", "ts", "day", "ym", "s", "e", "z"]


def frame() -> pd.DataFrame:
    """The table: whole numbers, doubles, decimals, booleans, dates, times and texts, each with a gap."""
    data = pd.DataFrame(_ROWS, columns=COLUMNS)
    for name in ("id", "n", "k"):
        data[name] = pd.array([row[COLUMNS.index(name)] for row in _ROWS], dtype="Int64")
    data["b"] = data["b"].astype("boolean")
    data["ts"] = data["ts"].astype("datetime64[us]")
    return data


#: one value a row: each is compared over all rows of the table
SCALARS: dict[str, tuple[str, ...]] = {
    "numbers": (
        "n + k", "n - k * 2", "-n", "n / k", "x / y", "m / k", "n / 0", "x / 0", "0 / 0", "n div k",
        "-7 div 2", "7 div -2", "n div 0", "n % k", "-7 % 3", "7 % -3", "n % 0", "mod(n, k)", "mod(x, 3)",
        "pmod(n, 3)", "pmod(-7, 3)", "abs(n)", "abs(m)", "sign(x)", "sign(n)", "ceil(x)", "ceiling(m)",
        "floor(x)", "floor(m)", "round(x)", "round(x, 1)", "round(m, 2)", "round(m)", "round(2.5)",
        "round(-2.5)", "round(1250, -2)", "round(x, -1)", "trunc(x)", "truncate(x, 1)", "truncate(m, 2)",
        "truncate(12345.678, -2)", "sqrt(abs(x))", "sqrt(-1)", "exp(y)", "ln(x)", "ln(0)", "log(10, x)",
        "log10(x)", "log2(x)", "pow(y, 2)", "power(k, 0.5)", "pow(-8, 0.5)", "sin(y)", "cos(y)", "tan(y)",
        "asin(y)", "acos(y)", "atan(y)", "pi()", "m + x", "m * k", "1 / 3", "2 * 0.1 + 0.2",
        "greatest(n, k)", "least(n, k, 2)", "greatest(x, y)", "greatest(1, null)",
    ),
    "casts": (
        "cast(x as bigint)", "cast(12.7 as int)", "cast(-12.7 as int)", "cast(m as bigint)",
        "cast(z as double)", "cast(z as decimal(10, 2))", "cast(n as double)", "cast(n as string)",
        "cast(m as string)", "cast(b as int)", "cast(k as boolean)", "cast(x as boolean)",
        "cast('true' as boolean)", "cast('0' as boolean)", "cast('x' as boolean)",
        "cast(m as decimal(10, 1))", "cast(x as decimal(10, 1))", "cast(d as string)", "cast(ts as string)",
        "cast(ts as date)", "cast(d as timestamp)", "cast('2024-02-30' as date)",
        "cast('2024-02-29' as date)", "cast('2024-02-29 10:20' as timestamp)",
        "cast('2024-02-29T10:20:30.5' as timestamp)", "cast('20240229' as date)",
        "cast('  2024-02-29 ' as date)", "cast('2024-2-9' as date)", "cast(ym as int)",
        "cast(ym as int) + 1", "cast(day as bigint) div 100", "cast(n as decimal(5, 0))",
        "cast(0 as timestamp)", "cast(k as timestamp)", "cast(ts as bigint)", "cast('' as int)",
        "cast('+5' as int)", "cast('1,000' as int)", "cast('inf' as double)",
        "cast(substr(day, 1, 6) as int)", "cast(round(x) as bigint)", "cast(substr(z, 1, 1) as int)",
        "cast(concat('1', grp) as int)",
    ),
    "dates": (
        "add_months(d, 1)", "add_months(ts, 1)", "add_months(ts, -12)", "add_months(d, k)",
        "add_months('2022-01-31', 1)", "add_months('2024-02-29', 12)", "add_months('2024-02-29', 1)",
        "months_add(ts, 1)", "months_sub(d, 2)", "years_add(ts, 1)", "years_sub(d, 4)", "days_add(ts, 1)",
        "days_sub(ts, 60)", "weeks_add(d, 2)", "weeks_sub(ts, 1)", "date_add(d, 30)",
        "months_add(d, 1)", "hours_add(d, 720)", "date_add(ts, 365)", "date_add(ts, 1)",
        "date_sub(ts, 31)", "date_sub(d, k)", "adddate(ts, 5)", "subdate(d, 5)",
        "date_add(ts, interval 1 month)", "date_sub(d, interval 1 year)", "date_add(ts, interval 36 hours)",
        "hours_add(ts, 5)", "minutes_sub(ts, 90)", "seconds_add(ts, 61)", "ts + interval 1 month",
        "d - interval 1 day", "ts - interval 90 minutes", "datediff(ts, d)", "datediff('2024-03-01', d)",
        "datediff(ts, '2024-02-29 23:59:59')", "int_months_between(d, '2022-01-30')",
        "int_months_between('2024-02-29', '2024-01-31')", "last_day(d)", "last_day(ts)", "trunc(d, 'MM')",
        "trunc(ts, 'YEAR')", "trunc(ts, 'Q')", "trunc(d, 'D')", "trunc(ts, 'HH')", "trunc(ts, 'MI')",
        "date_trunc('month', ts)", "date_trunc('day', ts)", "date_trunc('week', ts)",
        "date_trunc('hour', ts)", "year(d)", "month(ts)", "day(d)", "dayofmonth(ts)", "dayofweek(d)",
        "dayofyear(d)", "weekofyear(d)", "quarter(ts)", "hour(ts)", "minute(ts)", "second(ts)",
        "extract(year from ts)", "extract(hour from ts)", "extract(second from ts)", "extract(ts, 'month')",
        "date_part('month', d)", "date_part('second', ts)", "date_part('quarter', d)", "dayname(d)",
        "monthname(d)", "to_date(ts)", "year('2024-02-30')", "year(day)", "ts = d", "d >= '2022-01-31'",
        "ts between '2022-01-01' and '2024-01-01'", "d < ts", "ts > date_sub(d, 1)", "cast(ts as date) = d",
        "weeks_add('2024-12-25', 1)", "datediff(add_months(d, 1), d)",
        "year(add_months(d, -1)) * 100 + month(add_months(d, -1))",
    ),
    "formats": (
        "from_timestamp(ts, 'yyyyMM')", "from_timestamp(ts, 'yyyy-MM-dd HH:mm:ss')",
        "from_timestamp(d, 'yyyyMMdd')", "from_timestamp(ts, 'yy/M/d')", "from_timestamp(ts, 'MMM dd')",
        "to_timestamp(day, 'yyyyMMdd')", "to_timestamp(ym, 'yyyyMM')",
        "to_timestamp('2024-02-29 10:20:30', 'yyyy-MM-dd HH:mm:ss')",
        "to_timestamp('29/02/2024', 'dd/MM/yyyy')", "to_timestamp('bad', 'yyyyMMdd')",
        "to_timestamp('20240230', 'yyyyMMdd')", "to_timestamp(k)", "unix_timestamp(ts)",
        "unix_timestamp(d)", "unix_timestamp(day, 'yyyyMMdd')", "unix_timestamp('2024-02-29 00:00:00')",
        "from_unixtime(k * 86400)", "from_unixtime(k * 86400, 'yyyyMMdd')",
        "from_unixtime(1709164800, 'yyyy-MM')", "date_format(ts, 'yyyyMM')",
        "from_timestamp(add_months(to_timestamp(day, 'yyyyMMdd'), -1), 'yyyyMM')",
        "datediff(to_timestamp(day, 'yyyyMMdd'), '2022-01-01')",
        "cast(to_timestamp(concat(ym, '01'), 'yyyyMMdd') as date)",
        "from_timestamp(last_day(to_timestamp(concat(ym, '01'), 'yyyyMMdd')), 'yyyyMMdd')",
    ),
    "texts": (
        "length(s)", "length(e)", "char_length(e)", "upper(s)", "lower(s)", "trim(s)", "ltrim(s)",
        "rtrim(s)", "reverse(e)", "concat(s, '|', e)", "concat(s, null)", "concat_ws('-', grp, s)",
        "s || e", "substr(day, 1, 6)", "substr(day, 5)", "substr(s, -3)", "substr(s, -3, 2)",
        "substr(s, -50, 2)", "substring(s, 2, 3)", "substr(e, 1, 2)", "substr(s, 2, 0)", "substr(s, 2, -1)",
        "substr(s, 100)", "strleft(s, 2)", "strright(s, 2)", "left(s, 2)", "right(s, 2)", "left(s, 0)",
        "lpad(s, 7, '*')", "rpad(s, 7, '*')", "lpad(s, 2, '*')", "lpad(cast(k as string), 3, '0')",
        "repeat(s, 2)", "repeat(s, 0)", "space(3)", "instr(s, 'o')", "instr(s, 'zz')", "instr(s, '')",
        "locate('o', s)", "locate('o', s, 3)", "strpos(s, 'o')", "split_part(s, ',', 2)",
        "split_part(s, ',', 9)", "split_part(s, ',', -1)", "replace(s, 'o', '0')", "replace(s, 'o', '')",
        "translate(s, 'no', 'NO')", "translate(s, 'no', 'x')", "ascii(s)", "s like 'n%'", "s like '%a_b%'",
        "e like '%\\\\_%'", "e like '%\\\\%%'", "s not like 'n%'", "s ilike 'NORTH'", "s rlike '^n'",
        "s regexp '[0-9]+'", "s not rlike 'o'", "regexp_like(s, 'OR', 'i')", "regexp_like(s, 'or')",
        "regexp_extract(s, '([a-z]+)([0-9]+)', 2)", "regexp_extract(s, '([a-z]+)([0-9]+)', 0)",
        "regexp_extract(s, '(x)(y)?', 2)", "regexp_extract(e, '\\\\w+', 0)",
        "regexp_replace(s, '[0-9]', '')", "regexp_replace(s, '([0-9]+)', '<\\\\1>')",
        "regexp_replace(s, 'o', '$1')", "regexp_replace(e, '\\\\s', '_')", "regexp_replace(s, '.', 'x')",
        "s = 'north'", "s < 'north'", "s = 'NORTH'", "s in ('north', '')", "e = 'it\\'s'", "e = \"it's\"",
        "'a\\nb'", "'\\t'", "'C:\\\\x'", "length('')", "'' = ' '", "trim('\\t x ')", "e = '한글 은행'",
        "concat('{', s, '}')", "char_length(s)", "left(e, 2)", "concat(cast(k as string), '-', day)",
    ),
    "missing": (
        "nvl(n, 0)", "ifnull(x, 1)", "isnull(n, 3)", "coalesce(n, k)", "coalesce(null, s, 'x')",
        "nullif(n, 7)", "nullif(x, 0)", "nvl2(n, 'has', 'none')", "if(x > 1, 'big', 'small')",
        "if(null, 1, 2)", "zeroifnull(y)", "nullifzero(n)", "nullifzero(x)",
        "decode(k, 3, 'three', 7, 'seven', 'other')", "decode(n, null, 'none', 'some')",
        "decode(k, 3, 'three')", "case k when 3 then 'x' when 2 then 'y' end",
        "case when n > 0 then 1 when n <= 0 then -1 else 0 end", "case n when null then 1 else 0 end",
        "n is null", "n is not null", "b is true", "b is not true", "b is false", "b is not false",
        "b is unknown", "n <=> null", "n <=> k", "n is distinct from k", "n is not distinct from k",
        "n = null", "not b", "b and n > 0", "b or n > 0", "n in (7, null)", "n not in (7, null)",
        "n in (7, 0)", "n between 0 and 10", "n not between k and 10", "x > y", "n <> k", "n != 7",
        "b = true", "x = 12.5", "m = 12.75", "m > 0.5",
    ),
}  # fmt: skip

#: one value for each group of rows
AGGREGATES: dict[str, tuple[str, ...]] = {
    "aggregates": (
        "count(*)", "count(n)", "count(distinct n)", "count(distinct k, x)", "sum(n)", "sum(x)", "sum(m)",
        "avg(n)", "avg(x)", "min(x)", "max(n)", "min(s)", "max(d)", "min(ts)", "max(m)", "stddev(x)",
        "stddev_samp(k)", "stddev_pop(k)", "variance(k)", "var_samp(k)", "var_pop(k)", "variance_pop(k)",
        "variance_samp(k)", "percentile(k, 0.5)", "percentile(x, 0.25)", "percentile_approx(k, 0.5)",
        "percentile_approx(x, 0.9)", "appx_median(k)", "corr(k, x)", "covar_pop(k, x)", "covar_samp(k, x)",
        "sum(case when n > 0 then 1 else 0 end)", "sum(if(b, 1, 0))", "max(case when k = 3 then s end)",
        "sum(zeroifnull(y))", "count(case when x > 1 then 1 end)", "sum(n) / count(n)", "max(x) - min(x)",
        "sum(x) / nullif(sum(y), 0)", "min(b)", "max(cast(b as int))", "sum(distinct k)", "avg(distinct k)",
        "count(distinct s)", "stddev(n)", "count(if(n is null, 1, null))", "count(*) filter (where k > 2)",
        "sum(cast(x as decimal(18, 2)))", "group_concat(grp)", "group_concat(distinct grp, '/')",
        "percentile(x, 0.99)", "percentile_approx(n, 0.5)", "min(case when b then x end)",
        "sum(power(x - 3, 2)) / count(x)", "sum(case when x >= 0 and x < 10 then 1 else 0 end)",
        "count(distinct case when n > 0 then k end)",
    ),
}  # fmt: skip

#: one value a row, over windows that leave no tie open
WINDOWS: dict[str, tuple[str, ...]] = {
    "windows": (
        "row_number() over (order by id)", "row_number() over (partition by grp order by n desc, id)",
        "rank() over (order by k)", "rank() over (order by n)", "rank() over (order by n desc)",
        "rank() over (order by n nulls first)", "dense_rank() over (order by s)",
        "percent_rank() over (order by k)", "cume_dist() over (order by k)", "ntile(4) over (order by id)",
        "lag(x) over (order by id)", "lag(n, 2, 0) over (order by id)",
        "lead(s, 1) over (partition by grp order by id)", "first_value(n) over (order by id)",
        "last_value(n) over (order by id)", "last_value(n ignore nulls) over (order by id)",
        "first_value(n ignore nulls) over (order by id desc)", "sum(x) over (order by id)",
        "sum(k) over (order by k)", "sum(k) over (order by id rows between 2 preceding and current row)",
        "avg(x) over (partition by grp)",
        "max(ts) over (order by id rows between unbounded preceding and 1 preceding)",
        "count(n) over (partition by grp order by id)",
        "min(d) over (order by id rows between current row and unbounded following)",
        "x - avg(x) over (partition by grp)", "sum(x) over (partition by grp) / sum(x) over ()",
        "row_number() over (order by n, id)", "row_number() over (order by n desc, id desc)",
        "stddev(x) over (partition by grp)", "count(*) over ()",
        "sum(k) over (order by k range between unbounded preceding and current row)",
        "lag(d) over (partition by grp order by ts, id)",
    ),
}  # fmt: skip

#: equal up to the digits that the other engine keeps: 8 of a number of months, 7 of a FLOAT
ROUNDED: tuple[str, ...] = (
    "cast(x as float)", "months_between(d, '2022-03-31')", "months_between(ts, d)",
    "months_between('2024-03-31', d)", "months_between(to_timestamp('20240331', 'yyyyMMdd'), ts)",
)  # fmt: skip

#: whole queries, each with its own order: what features, PSI, EDA and correlation are made of
QUERIES: dict[str, str] = {
    "psi counts in one scan": """
        select g.f, case g.f when 'x' then case when p.x is null then -1 when p.x < 0.0 then 0
                                            when p.x < 10.0 then 1 else 2 end
                             when 's' then case when p.s is null then -1 when p.s = 'north' then 0
                                            else 99 end end b,
               count(*) n
        from value_cases p cross join (select 'x' f union all select 's') g group by 1, 2 order by 1, 2""",
    "spearman": """
        select corr(rx, rk) r, count(*) n from (
            select rank() over (order by x) rx, rank() over (order by k) rk from value_cases
            where x is not null and k is not null) q""",
    "pearson in one pass": """
        select (count(*) * sum(x * y) - sum(x) * sum(y)) / sqrt((count(*) * sum(x * x) - sum(x) * sum(x))
               * (count(*) * sum(y * y) - sum(y) * sum(y))) r
        from value_cases where x is not null and y is not null and x < 1000""",
    "equal-width histogram": """
        select cast(floor((x + 20) / 55.0) as int) b, count(*) n from value_cases where x < 1000
        group by cast(floor((x + 20) / 55.0) as int) order by 1""",
    "quantiles at once": """
        select percentile(x, 0.01) a, percentile(x, 0.25) b, percentile(x, 0.5) c, percentile(x, 0.99) d,
               percentile_approx(x, 0.5) e from value_cases""",
    "top categories": """
        select s, count(*) n from value_cases where s is not null group by s order by n desc, s limit 3""",
    "correlation ratio": """
        with m as (select grp, avg(k) a, count(k) n from value_cases group by grp),
             g as (select avg(k) a, var_pop(k) v, count(k) n from value_cases)
        select sum(m.n * power(m.a - g.a, 2)) / (max(g.n) * max(g.v)) eta from m cross join g""",
    "chi square of two categories": """
        with c as (select grp, s, count(*) n from value_cases group by grp, s),
             r as (select grp, sum(n) t from c group by grp), k as (select s, sum(n) t from c group by s)
        select sum(power(c.n - r.t * k.t / 9e0, 2) / (r.t * k.t / 9e0)) chi from c join r on c.grp = r.grp
        join k on c.s <=> k.s""",
    "newest row of each key": """
        select id, grp from (
            select id, grp, row_number() over (partition by grp order by d desc nulls last, id) n
            from value_cases
        ) q where n = 1 order by grp""",
    "semi and anti join": """
        select a.id from value_cases a
        left semi join (select id from value_cases where k > 2) b on a.id = b.id
        left anti join (select id from value_cases where b) c on a.id = c.id order by a.id""",
    "not in with a null finds nothing": """
        select count(*) n from value_cases where k not in (select n from value_cases)""",
    "exists and having": """
        select grp, count(*) n, sum(x) t from value_cases v
        where exists (select 1 from value_cases w where w.id = v.id and w.n > 0)
        group by grp having count(*) >= 1 order by grp""",
    "full join keeps what has no partner": """
        select a.id a, b.id b from (select id, k from value_cases where id < 3) a full outer join
        (select id, k from value_cases where id > 7) b on a.k = b.id order by 1, 2""",
    "months before a base date": """
        select id, sum(x) over (partition by grp order by id) t from value_cases
        where day between from_timestamp(add_months(to_timestamp('20240229', 'yyyyMMdd'), -26), 'yyyyMMdd')
        and '20240229' order by id""",
    "thirty days are not a month": """
        select id, days_add(ts, 30) a, months_add(ts, 1) b, ts + interval 30 days c, ts + interval 1 month d,
               hours_add(ts, 720) e, d - interval 365 days f, d - interval 1 year g, weeks_sub(d, k) h
        from value_cases order by id""",
    "union keeps each row once": "select grp v from value_cases union select s from value_cases order by v",
    "groups of several columns with their total": """
        select grp, b, count(*) n from value_cases group by rollup(grp, b) order by grp, b, n""",
    "nulls sort as the largest": "select id from value_cases order by n desc, id limit 4",
}  # fmt: skip

#: expression, value of the embedded engine, value of Spark: known, and told in docs/engines.md
DIFFERENT: tuple[tuple[str, object, object], ...] = (
    ("cast(3000000000 as int)", None, -1294967296),
    ("cast(1e15 as int)", None, 2147483647),
    ("cast('1e3' as int)", 1000, None),
    ("cast('0x10' as int)", 16, None),
    ("cast(1 as decimal(10, 2)) / 3", 1 / 3, Decimal("0.333333")),
)
