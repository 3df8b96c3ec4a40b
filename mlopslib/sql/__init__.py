"""Feature SQL: date parameters, the guard, the dialect and its translation."""

from mlopslib.sql.dialect import Impala
from mlopslib.sql.guard import guard_select, tables_in, to_duckdb, to_spark
from mlopslib.sql.render import parameters_in, render_sql

__all__ = ["Impala", "guard_select", "parameters_in", "render_sql", "tables_in", "to_duckdb", "to_spark"]
