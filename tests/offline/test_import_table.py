"""The command ``manage.py import_table``."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from mlopslib.offline import open_store


@pytest.fixture(autouse=True)
def offline_url(tmp_path: Path, settings: Any) -> str:
    settings.OFFLINE_URL = f"delta://{tmp_path / 'offline'}"
    return settings.OFFLINE_URL


def import_table(*arguments: object) -> str:
    output = StringIO()
    call_command("import_table", *map(str, arguments), stdout=output)
    return output.getvalue()


def test_rows_columns_and_new_names_are_printed(tmp_path: Path, offline_url: str) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("InvoiceNo,Quantity,country\n" + "C1,2,UK\n" * 1200)
    printed = import_table("orders", path)
    assert printed.splitlines() == [
        "orders: 1,200 rows, 3 columns",
        "  invoice_no  varchar  (was InvoiceNo)",
        "  quantity    bigint  (was Quantity)",
        "  country     varchar",
    ]
    assert open_store(offline_url).list_tables() == ["orders"]


def test_bad_input_is_a_command_error_and_leaves_nothing(tmp_path: Path, offline_url: str) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("a,b\n1\n")
    for arguments, message in (
        (("orders", path), "line 2"),
        (("Orders", path), "is not a name"),
        (("orders", tmp_path / "none.csv"), "there is no file"),
        (("orders", tmp_path), "neither"),
    ):
        with pytest.raises(CommandError, match=message):
            import_table(*arguments)
    assert open_store(offline_url).list_tables() == []


def test_replace_must_be_said(tmp_path: Path, offline_url: str) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("a\n1\n")
    import_table("orders", path)
    with pytest.raises(CommandError, match="pass --replace"):
        import_table("orders", path)
    assert import_table("orders", path, "--replace").startswith("orders: 1 rows, 1 columns")


def test_an_unknown_store_is_a_command_error(tmp_path: Path, settings: Any) -> None:
    settings.OFFLINE_URL = "s3://bucket"
    with pytest.raises(CommandError, match="delta:///"):
        import_table("orders", tmp_path / "x.csv")
