"""What stands in deploy/ is read by the programs it is for, as far as they are here."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.instance import InstanceRef
from dagster._core.instance.config import dagster_instance_config
from dagster._core.workspace.load import location_origins_from_yaml_paths
from sqlalchemy import make_url

from phase3_assets.celery_launcher import LeaseCeleryRunLauncher, served
from phase3_assets.launcher import LOCATION, LeaseHealth, LeaseRunLauncher
from phase3_assets.workplace import DAGSTER_URL, DATABASE_URL, STATE_DIR, project_root, with_schema
from phase3_core.errors import BadInput
from resources.exports.files import EXPORTS_DIR
from resources.settings import FILE_NAME, FILE_VARIABLE, read_settings
from tests.end_to_end.machines import shipped

ROOT = project_root()
DEPLOY = ROOT / "deploy"
PAGE = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
ONE_MACHINE, CELERY = ROOT, DEPLOY / "celery"
SAID_OTHERWISE = {  # whose launcher, places of all machines together, and that a task may wait for one
    "run_launcher",
    "concurrency.runs.max_concurrent_runs",
    "concurrency.runs.tag_concurrency_limits",  # all of these places but one
    "run_monitoring.start_timeout_seconds",
}


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def chart() -> Any:
    return read(DEPLOY / "helm" / "values.yaml")


def of_our_image() -> list[str]:
    return [name for name, service in shipped.services().items() if service["image"] == "phase3"]


def flat(tree: Any, *place: str) -> dict[str, Any]:
    if not isinstance(tree, dict) or place == ("run_launcher",):
        return {".".join(place): tree}
    return {name: one for key, inner in tree.items() for name, one in flat(inner, *place, str(key)).items()}


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch, database_url: str, tmp_path: Path) -> None:
    monkeypatch.setenv(DAGSTER_URL, with_schema(database_url, "public"))
    monkeypatch.setenv(STATE_DIR, str(tmp_path))
    monkeypatch.setenv("PHASE3_CELERY_URL", "redis://nowhere.example:6379/0")


@pytest.fixture
def celery(places: None) -> Iterator[dg.DagsterInstance]:  # noqa: ARG001 - sets the variables that it reads
    with dg.DagsterInstance.from_ref(InstanceRef.from_dir(str(CELERY))) as instance:
        yield instance


@pytest.mark.parametrize("directory", [ONE_MACHINE, CELERY], ids=["one machine", "celery"])
def test_dagster_knows_every_key_of_the_instance(directory: Path) -> None:
    config, _ = dagster_instance_config(str(directory))
    assert config["run_launcher"]["class"].startswith("Lease")


@pytest.mark.parametrize("file", sorted(DEPLOY.glob("compose*.yaml")), ids=lambda file: file.name)
def test_no_port_is_published_but_on_loopback(file: Path) -> None:
    published = [port for service in read(file)["services"].values() for port in service.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in published), published


def test_both_instances_agree_where_nothing_says_celery() -> None:
    one, many = flat(read(ONE_MACHINE / "dagster.yaml")), flat(read(CELERY / "dagster.yaml"))
    assert {name for name in one.keys() | many.keys() if one.get(name) != many.get(name)} == set(
        SAID_OTHERWISE
    )


def test_workers_serve_what_the_instance_launches(celery: dg.DagsterInstance) -> None:
    launcher = celery.run_launcher
    assert isinstance(launcher, LeaseCeleryRunLauncher)
    app = served(celery).celery
    assert "execute_job" in app.tasks
    assert list(app.amqp.queues.consume_from) == [launcher.default_queue]
    assert app.conf.broker_url == "redis://nowhere.example:6379/0"
    assert app.conf.broker_transport_options["visibility_timeout"] > celery.run_monitoring_max_runtime_seconds


def test_a_run_that_waits_for_a_place_is_not_taken_for_lost(celery: dg.DagsterInstance) -> None:
    """When a worker is lost its places go, and the next is free when some run has come to its end."""
    timeouts = celery.run_monitoring_start_timeout_seconds, celery.run_monitoring_max_runtime_seconds
    assert timeouts[0] >= timeouts[1]
    assert "lower `max_concurrent_runs`" in PAGE


def test_whoever_is_stopped_has_time_to_settle(chart: Any, celery: dg.DagsterInstance) -> None:
    longest = celery.run_monitoring_cancel_timeout_seconds
    pod = chart["runLauncher"]["config"]["k8sRunLauncher"]["runK8sConfig"]["podSpecConfig"]
    assert pod["terminationGracePeriodSeconds"] > longest
    assert chart["dagsterDaemon"]["runMonitoring"]["cancelTimeoutSeconds"] == longest
    for service in ("code", "worker"):
        assert shipped.services()[service]["stop_grace_period"] == "5m"


def test_the_end_of_a_container_is_told_to_its_runs() -> None:
    """By docker-init to all processes of the code location; a Celery worker tells those at work itself."""
    assert shipped.services()["code"]["init"]
    assert "TINI_KILL_PROCESS_GROUP" in shipped.variables("code")
    assert not shipped.services()["worker"]["init"]


def test_the_daemon_ends_before_the_code_location_and_begins_after_it() -> None:
    """It gives up for good a run that was told to end, where nobody answers who could resume it."""
    assert shipped.services()["daemon"]["depends_on"]["code"] == {"condition": "service_healthy"}
    assert shipped.services()["code"]["healthcheck"]["test"]
    assert "compose.yaml restart" not in PAGE


def test_no_worker_serves_an_instance_of_one_machine() -> None:
    with dg.DagsterInstance.ephemeral() as instance, pytest.raises(BadInput, match="deploy/celery"):
        served(instance)


@pytest.mark.parametrize("launcher", [LeaseRunLauncher, LeaseCeleryRunLauncher])
def test_the_lease_has_the_word_on_who_is_alive(launcher: type) -> None:
    """Not Celery, whose broker never hears of a worker that was killed."""
    for name in ("check_run_worker_health", "supports_check_run_worker_health"):
        assert getattr(launcher, name) is getattr(LeaseHealth, name)


def test_the_code_location_keeps_its_name() -> None:
    (origin,) = location_origins_from_yaml_paths([str(DEPLOY / "workspace.yaml")])
    assert origin.location_name == LOCATION
    for arguments in (
        read(DEPLOY / "compose.yaml")["services"]["code"]["command"],
        read(DEPLOY / "helm" / "values.yaml")["dagster-user-deployments"]["deployments"][0][
            "dagsterApiGrpcArgs"
        ],
    ):
        assert arguments[arguments.index("--location-name") + 1] == LOCATION


def test_a_cluster_has_the_queue_of_as_many_workers() -> None:
    here = read(DEPLOY / "celery" / "dagster.yaml")["concurrency"]["runs"]
    there = read(DEPLOY / "helm" / "values.yaml")["concurrency"]["runs"]
    assert list(there.values()) == [here["max_concurrent_runs"], here["tag_concurrency_limits"]]


def test_compose_says_what_the_second_file_adds_to() -> None:
    first, second = (read(DEPLOY / name)["services"] for name in ("compose.yaml", "compose.celery.yaml"))
    assert second.keys() - first.keys() == {"redis", "worker"}
    assert second["worker"]["command"][:4] == ["celery", "-A", "phase3_assets.celery_worker", "worker"]


def test_every_container_finds_its_settings() -> None:
    """The file of whoever deploys, not one that Docker makes where none is."""
    place = shipped.image_variables()[FILE_VARIABLE]
    assert {"upgrade", "code", "webserver", "daemon", "worker"} <= set(of_our_image())
    for service in of_our_image():
        assert FILE_VARIABLE not in shipped.variables(service)
        file = shipped.bound(service)[place]
        assert (DEPLOY / file["source"]).resolve() == ROOT / FILE_NAME
        assert file["read_only"]
        assert not file["bind"]["create_host_path"]


def test_every_pod_finds_its_settings(chart: Any) -> None:
    """The code location's, and those of its runs, which have what it has."""
    (code,) = chart["dagster-user-deployments"]["deployments"]
    assert code["includeConfigInLaunchedRuns"]["enabled"]
    (volume,), (mount,) = code["volumes"], code["volumeMounts"]
    assert mount["name"] == volume["name"]
    assert mount["readOnly"]
    (item,) = volume["configMap"]["items"]
    assert f"{mount['mountPath']}/{item['path']}" == shipped.image_variables()[FILE_VARIABLE]
    made = f"kubectl create configmap {volume['configMap']['name']} --from-file={item['key']}"
    assert made in PAGE
    assert item["key"] == FILE_NAME


def test_the_example_of_settings_is_good_and_names_who_decides() -> None:
    settings = read_settings(DEPLOY / "phase3.example.toml")
    assert settings.approval.approvers
    assert settings.web.contact
    assert "cp deploy/phase3.example.toml phase3.toml" in PAGE


def test_a_pod_has_its_passwords_from_secrets(chart: Any) -> None:
    """Left alone, the chart makes a secret of its own, with the password `test`."""
    assert not chart["generatePostgresqlPasswordSecret"]
    made = f"generic {chart['global']['postgresqlSecretName']} --from-literal=postgresql-password="
    assert made in PAGE
    assert "postgresqlPassword" not in chart["postgresql"]
    (code,) = chart["dagster-user-deployments"]["deployments"]
    for pod in (code, chart["runLauncher"]["config"]["k8sRunLauncher"]):
        assert pod["envSecrets"] == [{"name": "phase3"}]


def test_a_container_has_its_passwords_from_the_environment() -> None:
    told = [one for service in shipped.services() for one in shipped.variables(service).items()]
    passwords = [value for name, value in told if name.endswith("PASSWORD")]
    assert all(one.startswith("${POSTGRES_PASSWORD") for one in passwords)
    assert {"PGPASSWORD", "POSTGRES_PASSWORD"} <= {name for name, _ in told}


def test_a_password_may_have_any_character() -> None:
    """It stands in no address, where some would have to be written otherwise."""
    for service in of_our_image():
        told = shipped.variables(service)
        assert told["PGPASSWORD"] == "${POSTGRES_PASSWORD:?set it in .env}"
        assert not any(make_url(told[name]).password for name in (DATABASE_URL, DAGSTER_URL))


def test_compose_is_told_where_the_passwords_are() -> None:
    """By itself it looks beside the compose file, where no .env is."""
    read_by = [PAGE, *(file.read_text(encoding="utf-8") for file in DEPLOY.glob("compose*.yaml"))]
    commands = [line for text in read_by for line in text.splitlines() if "docker compose " in line]
    assert len(commands) >= 5
    assert [line for line in commands if "docker compose --env-file .env -f deploy/" not in line] == []


def test_what_one_machine_exports_lies_in_one_place() -> None:
    folder = Path(shipped.image_variables()[EXPORTS_DIR])
    for service in of_our_image():
        assert f"state:{folder.parent}" in shipped.services()[service]["volumes"]


def test_the_image_is_of_files_that_are_there() -> None:
    lines = (DEPLOY / "Containerfile").read_text(encoding="utf-8").splitlines()
    copied = [name for line in lines if line.startswith("COPY") for name in line.split()[1:-1]]
    assert copied
    assert [name for name in copied if not (ROOT / name).exists()] == []


def test_the_image_is_of_the_versions_that_are_tested() -> None:
    tested, shipped = (versions(path) for path in (ROOT / "requirements.lock", DEPLOY / "requirements.lock"))
    assert {
        name: shipped[name] for name in shipped.keys() & tested.keys() if shipped[name] != tested[name]
    } == {}
    assert "pytest" not in shipped
    assert f"--version {shipped['dagster']}" in (DEPLOY / "helm" / "values.yaml").read_text(encoding="utf-8")


def versions(lock: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w.-]+)==(\S+)", lock.read_text(encoding="utf-8"), flags=re.MULTILINE))


@pytest.mark.parametrize(
    ("tags", "wanted"),
    [({"dagster-celery/task_id": "7"}, [("7", {"terminate": True, "signal": "SIGINT"})]), ({}, [])],
    ids=["its task", "its wish alone, while its task has no name"],
)
def test_a_run_is_cancelled_as_ctrl_c_does(
    celery: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, tags: dict[str, str], wanted: list[Any]
) -> None:
    """Who begins meanwhile reads the wish."""
    launcher = celery.run_launcher
    assert isinstance(launcher, LeaseCeleryRunLauncher)
    told: list[tuple[Any, ...]] = []
    monkeypatch.setattr(launcher.celery.control, "revoke", lambda *words, **how: told.append((*words, how)))
    run = dg.DagsterRun("phase3", status=dg.DagsterRunStatus.STARTED, tags=tags)
    celery.add_run(run)
    assert launcher.terminate(run.run_id)
    assert told == wanted
    assert celery.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.CANCELING  # type: ignore[union-attr] # the run was made above
