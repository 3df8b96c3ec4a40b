import pytest

from mlopslib.artifacts import ArtifactStore
from tests.steps.world import World, champion_params, fill_store


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    root = tmp_path_factory.mktemp("world")
    url = f"delta://{root / 'offline'}"
    fill_store(url)
    return World(root=root, url=url, artifacts=ArtifactStore(root / "artifacts"))


@pytest.fixture(scope="session")
def first_run(world):
    """The training run that makes a model's first version."""
    return world.run("training", "202508", champion=None)


@pytest.fixture(scope="session")
def champion(world, first_run):
    return champion_params(world, first_run[1])


@pytest.fixture(scope="session")
def second_run(world, champion):
    """A later training run that is compared with the first."""
    return world.run("training", "202512", champion=champion)
