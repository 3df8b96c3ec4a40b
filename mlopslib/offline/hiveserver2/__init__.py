"""The offline store on a cluster: Impala, Hive or Spark, through the HiveServer2 protocol."""

from mlopslib.offline.hiveserver2.address import Address, parse_address
from mlopslib.offline.hiveserver2.store import HiveServer2Store, open_hiveserver2

__all__ = ["Address", "HiveServer2Store", "open_hiveserver2", "parse_address"]
