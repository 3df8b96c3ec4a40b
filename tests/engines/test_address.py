"""Where the engine is: one URL, read strictly, shown without its password."""

from __future__ import annotations

import pytest

from mlopslib.errors import InvalidInput
from mlopslib.offline import open_store
from mlopslib.offline.hiveserver2 import parse_address


def test_an_address_has_all_its_parts() -> None:
    address = parse_address(
        "impala://ada:p%40ss%2Fw@impala.bank:21051/risk?auth=ldap&ssl=true&ca=/etc/ca.pem&timeout=90"
        "&uploader=webhdfs://namenode:9870/tmp/gijun"
    )
    assert (address.host, address.port, address.database) == ("impala.bank", 21051, "risk")
    assert (address.user, address.password, address.auth) == ("ada", "p@ss/w", "LDAP")
    assert (address.ssl, address.ca, address.timeout) == (True, "/etc/ca.pem", 90.0)
    assert address.uploader == "webhdfs://namenode:9870/tmp/gijun"
    assert address.dialect == "impala"


def test_what_is_left_out_is_what_servers_do_by_themselves() -> None:
    impala, hive = parse_address("impala://h"), parse_address("hive://h")
    assert (impala.port, impala.database, impala.auth) == (21050, "default", "NOSASL")
    assert (hive.port, hive.auth, hive.dialect) == (10000, "PLAIN", None)


def test_a_password_is_never_shown() -> None:
    store = open_store("impala://ada:hunter2@h/risk?auth=LDAP")
    assert "hunter2" not in store.url
    assert store.url == "impala://ada:***@h:21050/risk?auth=LDAP"
    assert "hunter2" not in repr(parse_address("impala://ada:hunter2@h/risk"))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("impala://", "names no host"),
        ("impala:///risk", "names no host"),
        ("impala://u:hunter2@h:port/x", "port or host"),
        ("impala://h:70000/x", "port or host"),
        ("hive://h/a/b", "'a/b' is not a database"),
        ("hive://h/Risk;drop", "is not a database"),
        ("hive://u:hunter2@h/x#y", "%23"),
        ("hive://u:hunter2@h/x?auth=BASIC", "auth=BASIC is not known: use NOSASL, PLAIN, LDAP, GSSAPI"),
        ("hive://u@h/x?auth=LDAP", "needs a user and a password"),
        ("hive://h/x?mode=fast", "'mode' is not an option"),
        ("hive://h/x?auth=PLAIN&auth=LDAP", "comes twice"),
        ("hive://h/x?auth=", "is empty"),
        ("hive://h/x?auth", "name=value"),
        ("hive://h/x?timeout=soon", "number of seconds"),
        ("hive://h/x?dialect=oracle", "dialect=oracle is not known"),
        ("hive://h/x?ssl=yes", "must be true or false"),
        ("hive://h/x?uploader=s3://bucket/dir", "file:///directory or webhdfs://"),
        ("hive://h/x?uploader=file:///", "names no directory"),
        ("hive://h/x?uploader=file:///a/../b", "names no directory"),
        ("hive://h/x?uploader=file://host/dir", "three slashes"),
        ("hive://h/x?uploader=webhdfs:///dir", "names no host"),
        ("oracle://u:hunter2@h/x", "kind that is not known"),
    ],
)
def test_each_wrong_part_is_named(url: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words) as caught:
        open_store(url)
    assert "hunter2" not in str(caught.value)
