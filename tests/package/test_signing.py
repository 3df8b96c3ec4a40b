import json

import pytest

from mlopslib.errors import SignatureInvalid
from mlopslib.package.signing import create_key_pair, sign, verify

MANIFEST = {"endpoint": "loan-needs", "seq": 3, "version": "v2", "package_sha256": "ab" * 32, "title": "대출"}


@pytest.fixture
def keys(tmp_path):
    create_key_pair(tmp_path)
    return tmp_path


def test_what_was_signed_is_verified_after_a_trip_through_json(keys):
    signed = json.loads(json.dumps(sign(MANIFEST, keys / "signing.pem")))
    assert verify(signed, keys) == MANIFEST


def test_private_key_is_readable_by_its_owner_only(keys):
    assert (keys / "signing.pem").stat().st_mode & 0o777 == 0o600


def test_existing_key_is_left_alone_and_its_public_key_restored(keys):
    before = (keys / "signing.pem").read_bytes()
    (public,) = keys.glob("*.pub")
    public.unlink()
    key_id = create_key_pair(keys)
    assert (keys / "signing.pem").read_bytes() == before
    assert (keys / f"{key_id}.pub").exists()
    assert len(list(keys.iterdir())) == 2


@pytest.mark.parametrize("field, value", [("seq", 4), ("version", "v3"), ("package_sha256", "cd" * 32)])
def test_any_changed_field_is_refused(keys, field, value):
    signed = sign(MANIFEST, keys / "signing.pem")
    signed["manifest"] = {**MANIFEST, field: value}
    with pytest.raises(SignatureInvalid):
        verify(signed, keys)


def test_a_key_that_the_worker_does_not_know_is_refused(keys, tmp_path_factory):
    stranger = tmp_path_factory.mktemp("stranger")
    create_key_pair(stranger)
    with pytest.raises(SignatureInvalid, match="not known"):
        verify(sign(MANIFEST, stranger / "signing.pem"), keys)


def test_a_public_key_under_anothers_name_is_refused(keys, tmp_path_factory):
    stranger = tmp_path_factory.mktemp("stranger")
    create_key_pair(stranger)
    (theirs,) = stranger.glob("*.pub")
    (ours,) = keys.glob("*.pub")
    (keys / theirs.name).write_bytes(ours.read_bytes())
    with pytest.raises(SignatureInvalid, match="another key"):
        verify(sign(MANIFEST, stranger / "signing.pem"), keys)


@pytest.mark.parametrize("key_id", ["../signing", "signing.pem", "", None, 7, "AB" * 8, "ab" * 8 + "\n"])
def test_key_id_never_reaches_another_file(keys, key_id):
    signed = sign(MANIFEST, keys / "signing.pem") | {"key_id": key_id}
    with pytest.raises(SignatureInvalid):
        verify(signed, keys)


@pytest.mark.parametrize("signature", ["", "!!!", None, 5, "QUJD", "é"])
def test_broken_signature_is_refused_by_the_same_error(keys, signature):
    with pytest.raises(SignatureInvalid):
        verify(sign(MANIFEST, keys / "signing.pem") | {"signature": signature}, keys)


@pytest.mark.parametrize(
    "junk", [None, [], "x", {}, {"manifest": {}}, {"manifest": [], "key_id": "", "signature": ""}]
)
def test_anything_else_is_refused_by_the_same_error(keys, junk):
    with pytest.raises(SignatureInvalid):
        verify(junk, keys)


def test_missing_signing_key_says_so(tmp_path):
    with pytest.raises(SignatureInvalid, match="no signing key"):
        sign(MANIFEST, tmp_path / "signing.pem")
