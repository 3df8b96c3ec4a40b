import socket
import threading

import numpy as np
import psutil
import pytest

from mlopslib.errors import PackageDamaged
from mlopslib.scoring import PmmlScorer, load_scorer
from mlopslib.scoring.pmml import check_pmml
from tests.small_model import make_rows, small_model

DOCTYPE = b'<?xml version="1.0"?><!DOCTYPE PMML SYSTEM "%s"><PMML xmlns="http://www.dmg.org/PMML-4_4"/>'
ENTITY = b'<!DOCTYPE PMML [<!ENTITY x SYSTEM "%s">]><PMML xmlns="http://www.dmg.org/PMML-4_4">&x;</PMML>'
BOMB = b'<!DOCTYPE l [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><PMML>&b;</PMML>'


def java_children():
    return [child for child in psutil.Process().children(recursive=True) if "java" in child.name()]


def test_pmml_scores_like_the_serving_scorer_and_leaves_no_jvm():
    package, rows = small_model().package, make_rows(50)
    with PmmlScorer(package.contract, package.pmml) as scorer:
        assert len(java_children()) == 1
        assert np.abs(scorer.score(rows) - load_scorer(package).score(rows)).max() <= 1e-9
        assert scorer.score([]).shape == (0,)
    assert java_children() == []
    scorer.close()


@pytest.mark.parametrize("template", [DOCTYPE, ENTITY])
def test_external_references_are_refused_before_java_could_fetch_them(template):
    fetched = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.3)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/x.dtd".encode()
        with pytest.raises(PackageDamaged, match="DOCTYPE or entities"):
            PmmlScorer(small_model().package.contract, template % address)
        try:
            listener.accept()
            fetched.set()
        except TimeoutError:
            pass
    assert not fetched.is_set()


@pytest.mark.parametrize(
    "data", [b"", b"<PMML", BOMB, b"\xff\xfe", b"<html/>", b"<PMML>\xc3\x28</PMML>", b"<a>" * 50]
)
def test_a_file_that_is_not_pmml_is_damage(data):
    with pytest.raises(PackageDamaged):
        check_pmml(data)


def test_pmml_without_a_model_is_damage_and_ends_the_jvm():
    data = b'<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4"><Header/><DataDictionary/></PMML>'
    with pytest.raises(PackageDamaged, match=r"not a probability|cannot load"):
        PmmlScorer(small_model().package.contract, data)
    assert java_children() == []
    # and the next one is not kept waiting
    test_pmml_scores_like_the_serving_scorer_and_leaves_no_jvm()


def test_pmml_that_gives_no_probability_is_damage():
    data = b"""<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4"><Header/><DataDictionary>
    <DataField name="y" optype="continuous" dataType="double"/><DataField name="x" optype="continuous"
    dataType="double"/></DataDictionary><RegressionModel functionName="regression"><MiningSchema>
    <MiningField name="y" usageType="target"/><MiningField name="x"/></MiningSchema>
    <RegressionTable intercept="1">
    <NumericPredictor name="x" coefficient="2"/></RegressionTable></RegressionModel></PMML>"""
    with pytest.raises(PackageDamaged, match="not a probability of class 1"):
        PmmlScorer(small_model().package.contract, data)
