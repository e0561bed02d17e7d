"""How `make docs` turns the pages of this folder, and the docstrings, into HTML."""

import os
import pkgutil
import re
import sys
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
sys.path.insert(0, str(Path(__file__).parents[1]))

PACKAGES = ("acl", "study", "analysis")
# Autodoc imports while TYPE_CHECKING is set, which parts of MLflow do not survive: everything is imported before.
for package in PACKAGES:
    for module in pkgutil.walk_packages(import_module(package).__path__, f"{package}."):
        import_module(module.name)

project = "acl-study"
author = "the acl-study authors"
html_show_copyright = False
release = metadata.version(project)

extensions = ["myst_parser", "sphinx.ext.apidoc", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["api/*/modules.rst"]
myst_heading_anchors = 3
html_theme = "alabaster"
html_theme_options = {"description": metadata.metadata(project)["Summary"], "page_width": "70em", "fixed_sidebar": True}

# The API reference: a page for each package, from the docstrings. What stands in single backticks there is code.
apidoc_modules = [{"path": f"../{package}", "destination": f"api/{package}"} for package in PACKAGES]
autodoc_default_options = {"ignore-module-all": True}  # what a package takes from its modules is shown with these
default_role = "code"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
# Types of other packages have no page here, nor have private ones; of a property, napoleon takes a text before a colon for a type.
nitpick_ignore_regex = [
    ("py:.*", r"(?!(acl|study|analysis)\.).*"),
    ("py:.*", r".*\._\w+"),
    ("py:.*", r"acl\.system\.processes\.(Task|Result)"),
]

# Sphinx takes the text of a mark in an annotation, e.g. Unit("clips"), for the name of something, and finds several.
suppress_warnings = ["ref.python"]

_BAR_OUTSIDE_CODE = re.compile(r"\|(?=(?:[^`]*`[^`]*`)*[^`]*$)")
_SECTIONS = ("Args:", "Attributes:", "Raises:", "Returns:", "Yields:", "Example:")


def as_it_stands(app: Any, what: str, name: str, found: Any, options: Any, lines: list[str]) -> None:
    """Formulas and tables are indented in the docstrings, and shown as they stand; a bar is a bar, no substitution."""
    shown: list[str] = []
    block = section = False
    for line in lines:
        indented = line.startswith(" ")
        if line and not indented:
            block, section = False, line in _SECTIONS
        elif indented and not block and not section and shown and not shown[-1]:
            shown += ["::", ""]
            block = True
        shown.append(line if block else _BAR_OUTSIDE_CODE.sub(r"\\|", line))
    lines[:] = shown


def setup(app: Any) -> None:
    app.connect("autodoc-process-docstring", as_it_stands, priority=100)  # before napoleon
