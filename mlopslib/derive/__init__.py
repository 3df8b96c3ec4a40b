"""Derived variables: one declared expression for training, batch, serving and PMML."""

from mlopslib.derive.expression import Closure, Expression, Value
from mlopslib.derive.parser import FUNCTIONS, parse_expression

__all__ = ["FUNCTIONS", "Closure", "Expression", "Value", "parse_expression"]
