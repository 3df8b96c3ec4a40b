"""Views of the catalog that people keep: for themselves, or for everybody."""

from __future__ import annotations

import pytest

from apps.features.models import SavedView
from apps.features.saved_views import MAX_VIEWS, clean_query, save_view
from mlopslib.errors import InvalidInput
from portal.models import AuditEvent
from tests.factories import make_feature_set, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.database]


def post_view(client, name="Cards that drift", query="domain=cards&drift=act", **more):
    return client.post("/features/saved-views/new/", {"name": name, "query": query, **more}, follow=True)


def test_a_view_is_kept_and_opens_its_filter(client_as):
    make_feature_set()
    client = client_as("viewer")
    response = post_view(client)
    assert response.redirect_chain == [("/features/?domain=cards&drift=act", 302)]
    assert "Cards that drift" in response.content.decode()
    view = SavedView.objects.get()
    opened = client.get(f"/features/saved-views/{view.pk}/")
    assert opened["Location"] == "/features/?domain=cards&drift=act"


def test_the_list_says_which_view_is_open_in_whatever_order_its_boxes_were_ticked(client_as):
    make_feature_set()
    client = client_as("viewer")
    post_view(client, query="drift=watch&drift=act&domain=cards")
    page = client.get("/features/?domain=cards&drift=act&drift=watch").content.decode()
    assert "Save this view" not in page
    assert "Save this view" in client.get("/features/?domain=cards").content.decode()


def test_only_what_the_catalog_knows_is_kept():
    kept = clean_query("?page=7&format=csv&next=//evil&domain=b&domain=a&q=x+y&sort=-psi&tag=")
    assert kept == "q=x+y&domain=a&domain=b&sort=-psi"


def test_a_filter_that_is_too_long_is_refused():
    with pytest.raises(InvalidInput, match="too long"):
        clean_query("&".join(f"tag=a-long-tag-{n:05d}" for n in range(200)))


def test_a_view_of_ones_own_is_nobody_elses(client_as):
    post_view(client_as("viewer"))
    view = SavedView.objects.get()
    other = client_as("data_scientist")
    assert "Cards that drift" not in other.get("/features/saved-views/").content.decode()
    for address in ("", "change/", "delete/"):
        method = other.post if address else other.get
        assert method(f"/features/saved-views/{view.pk}/{address}", {"name": "mine now"}).status_code == 404
    assert SavedView.objects.get().name == "Cards that drift"


def test_a_shared_view_is_opened_by_all_and_changed_by_its_owner_alone(client_as):
    owner = client_as("viewer")
    post_view(owner, is_shared="on")
    view = SavedView.objects.get()
    other = client_as("reviewer")
    assert "Cards that drift" in other.get("/features/saved-views/").content.decode()
    assert other.get(f"/features/saved-views/{view.pk}/").status_code == 302
    assert other.post(f"/features/saved-views/{view.pk}/delete/").status_code == 404
    assert other.post(f"/features/saved-views/{view.pk}/change/", {"name": "x"}).status_code == 404
    assert owner.post(f"/features/saved-views/{view.pk}/delete/").status_code == 302
    assert not SavedView.objects.exists()


def test_the_trail_tells_of_shared_views_only(client_as):
    client = client_as("viewer")
    post_view(client, name="private")
    post_view(client, name="open", is_shared="on")
    view = SavedView.objects.get(name="open")
    client.post(f"/features/saved-views/{view.pk}/change/", {"name": "renamed", "is_shared": "on"})
    client.post(f"/features/saved-views/{view.pk}/change/", {"name": "renamed"})
    client.post(f"/features/saved-views/{SavedView.objects.get(name='private').pk}/delete/")
    trail = list(AuditEvent.objects.order_by("id").values_list("action", flat=True))
    assert trail == ["saved_view.shared", "saved_view.renamed", "saved_view.unshared"]


@pytest.mark.parametrize("name", ["", "   ", "x" * 61, "bell\x07"])
def test_a_name_that_cannot_be_read_is_refused(name, client_as):
    response = post_view(client_as("viewer"), name=name)
    assert not SavedView.objects.exists()
    assert "toast error" in response.content.decode()


def test_two_views_of_one_person_have_two_names_and_of_two_people_may_have_one(client_as):
    client = client_as("viewer")
    post_view(client)
    assert "you keep a view called" in post_view(client, query="q=x").content.decode()
    post_view(client_as("reviewer"))
    assert SavedView.objects.count() == 2


def test_renaming_to_a_name_that_is_taken_changes_nothing(client_as):
    client = client_as("viewer")
    post_view(client, name="one")
    post_view(client, name="two")
    two = SavedView.objects.get(name="two")
    client.post(f"/features/saved-views/{two.pk}/change/", {"name": "one"})
    assert sorted(SavedView.objects.values_list("name", flat=True)) == ["one", "two"]


def test_there_is_an_end_to_the_views_that_one_person_keeps(client_as):
    user = make_user("viewer")
    for number in range(MAX_VIEWS):
        save_view(actor=user, name=f"view {number}", query="q=x")
    assert f"you keep {MAX_VIEWS} views already" in post_view(client_as(user)).content.decode()
    assert SavedView.objects.count() == MAX_VIEWS


def test_a_name_with_a_script_comes_out_escaped(client_as):
    bad = "<script>alert(1)</script>"
    make_feature_set()
    client = client_as("viewer")
    page = post_view(client, name=bad, is_shared="on").content.decode()
    page += client.get("/features/saved-views/").content.decode()
    assert "&lt;script&gt;alert(1)" in page
    assert bad not in page
