"""What deploy/ says is to be started, and with which variables, read as Compose reads it."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import yaml

from phase3_assets.workplace import project_root

DEPLOY = project_root() / "deploy"
INSTANCE = DEPLOY / "celery" / "dagster.yaml"
WORKSPACE = DEPLOY / "workspace.yaml"


@cache
def services() -> Mapping[str, Any]:
    """Of both files; a service of both is the first one's, with the second's variables added."""
    first, second = (_services(name) for name in ("compose.yaml", "compose.celery.yaml"))
    return {name: _both(first.get(name, {}), second.get(name, {})) for name in {**first, **second}}


def _services(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))["services"])


def _both(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    environment = {**first.get("environment", {}), **second.get("environment", {})}
    return {**first, **second, "environment": environment}


def command(service: str) -> list[str]:
    return list(services()[service].get("command") or _of_the_image())


def variables(service: str) -> dict[str, str]:
    extended = services()[service].get("extends", {}).get("service")
    return {**(variables(extended) if extended else {}), **services()[service]["environment"]}


def _of_the_image() -> list[str]:
    lines = (DEPLOY / "Containerfile").read_text(encoding="utf-8").splitlines()
    (words,) = [line.removeprefix("CMD ") for line in lines if line.startswith("CMD ")]
    return list(json.loads(words))
