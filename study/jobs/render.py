"""Files that start a study elsewhere: filled-in templates, in which no value can become code."""

import json
import math
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import jinja2
import yaml

from acl.system.files import write_durably

TEMPLATES = Path(__file__).parent / "templates"
STUDY_FILE = "study.yaml"
OBJECT_STORE_BYTES = 200_000_000  # of each node: trials read features from files, so that hardly anything passes through it


@dataclass(frozen=True)
class Addresses:
    """Where a study keeps what others than its home folder keep; None where the home does.

    Attributes:
        store: MLflow tracking URI without a password.
        storage: of the state of trials, for pyarrow or fsspec, without a password.
    """

    store: str | None = None
    storage: str | None = None

    @property
    def options(self) -> str:
        """Options of `acl-study run`, quoted for the shell, a space before each.

        >>> Addresses("http://server:5000").options
        ' --store http://server:5000'
        """
        given = (("--store", self.store), ("--storage", self.storage))
        return "".join(f" {option} {shlex.quote(address)}" for option, address in given if address is not None)


def render(template: str, **values: Any) -> str:
    """A template of `study/jobs/templates/`, filled in.

    In it, `| sh` quotes a value for the shell and `| yaml` for YAML.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # these are no web pages
    )
    environment.filters.update(sh=lambda value: shlex.quote(str(value)), yaml=in_yaml)
    return environment.get_template(template).render(version=metadata.version("acl-study"), **values)


def in_yaml(value: Any) -> str:
    r"""A value on one line of YAML.

    >>> print(in_yaml("a: 'b'\n# c"), in_yaml(3), in_yaml(["x y"]))
    "a: 'b'\n# c" 3 ["x y"]
    """
    if isinstance(value, list):
        return f"[{', '.join(map(in_yaml, value))}]"
    if isinstance(value, str):
        text: str = yaml.safe_dump(value, default_style='"', width=math.inf)
        return text.strip()
    return json.dumps(value)


def write_files(folder: Path, files: Mapping[str, str], private: frozenset[str] = frozenset()) -> None:
    """Write each file whole; those that are `private` can be read by their owner alone.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = folder / name
        if name in private:
            path.touch(mode=0o600)
            path.chmod(0o600)
            path.write_text(text, encoding="utf-8")
        else:
            write_durably(path, text)


def own_bin() -> Path:
    """Folder of this environment's commands, `acl-study`, `ray` and `python` among them."""
    return Path(sys.executable).parent
