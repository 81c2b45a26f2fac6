"""What deploy/ says is to be started, with which variables and files, read as Compose reads it."""

import json
import re
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
    """Of both files; a service is what it extends or adds to, with its own variables and volumes added."""
    first, second = (_services(name) for name in ("compose.yaml", "compose.celery.yaml"))
    added = {name: second.get(name, {}) for name in {**first, **second}}
    extended = {name: own.get("extends", {}).get("service", name) for name, own in added.items()}
    return {name: _both(first.get(extended[name], {}), own) for name, own in added.items()}


def _services(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8"))["services"])


def _both(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    environment = {**first.get("environment", {}), **second.get("environment", {})}
    volumes = [*first.get("volumes", ()), *second.get("volumes", ())]
    return {**first, **second, "environment": environment, "volumes": volumes}


def command(service: str) -> list[str]:
    return list(services()[service].get("command") or _of_the_image())


def variables(service: str) -> dict[str, str]:
    return dict(services()[service]["environment"])


def bound(service: str) -> dict[str, dict[str, Any]]:
    """Files of the host in that container, by their place there; those that are said at full length."""
    return {one["target"]: one for one in services()[service]["volumes"] if isinstance(one, dict)}


def image_variables() -> dict[str, str]:
    """Of the image itself, whoever starts it."""
    return dict(re.findall(r"^(?:ENV)? +([A-Z0-9_]+)=(\S+)", _image(), flags=re.MULTILINE))


def _of_the_image() -> list[str]:
    (words,) = re.findall(r"^CMD (.*)", _image(), flags=re.MULTILINE)
    return list(json.loads(words))


def _image() -> str:
    return (DEPLOY / "Containerfile").read_text(encoding="utf-8")
