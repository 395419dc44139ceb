# Copyright (c) 2026 the dbops.postgres authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The spec file of a database: one YAML file, kept with the application, with a section for each check.

Here is what the sections share: the text as data, the line of every key, and errors that name it. What a section
may contain is decided by the ``spec.py`` of its domain, which raises :class:`SpecError`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Union

from ansible_collections.dbops.postgres.plugins.module_utils._findings import FAIL_ON
from ansible_collections.dbops.postgres.plugins.module_utils._plan import DbopsError

try:
    import yaml

    HAS_YAML = True
except ImportError:
    HAS_YAML = False

# Where something stands in the file: ("rls", "identities", 0, "role").
Where = tuple[Union[str, int], ...]

SECTIONS = ("rls", "constraints", "indexes", "plans", "integrity", "enums")

# Options of every module that checks a database against its spec file. Documented in doc_fragments/assurance.py.
SPEC_ARGUMENTS: dict[str, dict[str, Any]] = {
    "spec_file": {"type": "path"},
    "spec": {"type": "dict"},
    "schemas": {"type": "list", "elements": "str", "default": []},
    "fail_on": {"type": "str", "choices": list(FAIL_ON), "default": "high"},
    "junit": {"type": "path"},
    "evidence": {"type": "bool", "default": False},
}
SPEC_EXCLUSIVE = [("spec_file", "spec")]

# What becomes the same data whether it is read here or travels to a host as JSON.
_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null", "seq", "map"))
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_MERGE = "tag:yaml.org,2002:merge"


class SpecError(DbopsError):
    """Something in a spec file is wrong. ``where`` is relative to the whole file."""

    def __init__(self, where: Where, message: str, hint: str = "") -> None:
        self.where = tuple(where)
        super().__init__(f"{dotted(self.where)}: {message}" if self.where else message, hint)


@dataclass(frozen=True)
class SpecFile:
    """A spec file as data.

    :param name: as errors name it: the path of the file, or ``spec`` for data without a file.
    :param data: the whole file; keys are text.
    :param lines: the line of every key and every element of a list; empty for data without a file.
    """

    name: str = "spec"
    data: dict[str, Any] = field(default_factory=dict)
    lines: Mapping[Where, int] = field(default_factory=dict)

    @property
    def database(self) -> str:
        """The database that it is about; empty: it does not say."""
        return str(self.data.get("database") or "")

    def section(self, name: str) -> dict[str, Any]:
        """One section; empty if the file has none."""
        return dict(self.data.get(name) or {})

    def line(self, where: Where) -> int:
        """The line where something stands, or of what should contain it; 0: there is no file."""
        for length in range(len(where), 0, -1):
            if where[:length] in self.lines:
                return self.lines[where[:length]]
        return 1 if self.lines else 0

    def located(self, error: SpecError) -> DbopsError:
        """The error with the file and line in front."""
        line = self.line(error.where)
        place = f"{self.name}:{line}" if line else self.name
        return DbopsError(f"{place}: {error.problem}", error.remedy, error.untouched)


def load(text: str, name: str) -> SpecFile:
    """The text of a spec file as data.

    :raises DbopsError: PyYAML is missing; or, with the line, it is not YAML, has a key twice, has a section that
        does not exist, or holds what JSON cannot.
    """
    if not HAS_YAML:
        raise DbopsError("PyYAML is missing on this host.", "Install python3-yaml, or give the option spec.")
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}" if mark else name
        raise DbopsError(f"{place}: this is not YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:  # a character that YAML does not allow
        raise DbopsError(f"{name}: this is not YAML: {error}") from None
    if root is None:
        raise DbopsError(f"{name}: the file is empty.", f"Its sections are: {', '.join(SECTIONS)}.")
    lines: dict[Where, int] = {}
    try:
        _walk(root, (), lines, ())
        data = loader.construct_document(root)
        return _checked(SpecFile(name, data, lines))
    except yaml.MarkedYAMLError as error:  # a merge key of something that is no mapping
        mark = error.problem_mark or error.context_mark
        raise DbopsError(f"{name}:{mark.line + 1 if mark else 1}: {error.problem}") from None
    except SpecError as error:
        raise SpecFile(name, {}, lines).located(error) from None


def from_data(data: Any, name: str = "spec") -> SpecFile:
    """The same from data, which has no lines.

    :raises DbopsError: it has a section that does not exist, or is no mapping.
    """
    spec = SpecFile(name, data)
    try:
        return _checked(spec)
    except SpecError as error:
        raise SpecFile(name).located(error) from None


def given(params: Mapping[str, Any]) -> SpecFile:
    """The spec file of a module's parameters: ``spec``, the file ``spec_file`` on this host, or an empty one.

    :raises DbopsError: it cannot be read, or is wrong.
    """
    if params.get("spec") is not None:
        return from_data(params["spec"])
    path = params.get("spec_file")
    if not path:
        return SpecFile()
    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
    except OSError as error:
        raise DbopsError(
            f"The spec file {path} cannot be read: {error.strerror}.",
            "It must be on the host where the module runs; or give its content with the option spec.",
        ) from None
    except UnicodeDecodeError:
        raise DbopsError(f"{path}: this is not UTF-8.") from None
    return load(text, path)


def database(params: Mapping[str, Any], spec: SpecFile) -> str:
    """The database to look into: ``login_db``, or, while that is left at its default, the one that the file names."""
    login_db = str(params["login_db"])
    return spec.database if spec.database and login_db == "postgres" else login_db


def dotted(where: Where) -> str:
    """``rls.identities[0].role``."""
    text = ""
    for part in where:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def near(name: str, known: Iterable[str]) -> str:
    """What a wrong name should have been, as a hint: the closest known one, or all of them."""
    names = list(known)
    close = difflib.get_close_matches(name, names, 1)
    return f"Did you mean {close[0]!r}?" if close else f"Known are: {', '.join(names)}."


def only(data: Mapping[str, Any], known: Iterable[str], where: Where) -> None:
    """Refuse the keys of a mapping that nobody reads, so that a typing error cannot switch a check off.

    :raises SpecError: for the first one, with what it should have been.
    """
    names = list(known)
    for key in data:
        if key not in names:
            raise SpecError((*where, key), "unknown key.", near(str(key), names))


def _checked(spec: SpecFile) -> SpecFile:
    if not isinstance(spec.data, dict):
        raise SpecError((), "a spec file must be a mapping of sections", f"Its sections are: {', '.join(SECTIONS)}.")
    for key, value in spec.data.items():
        if key == "database":
            if not isinstance(value, str) or not value:
                raise SpecError((key,), f"{value!r} is no name of a database.")
        elif key not in SECTIONS:
            raise SpecError((str(key),), "there is no such section.", near(str(key), ("database", *SECTIONS)))
        elif value is not None and not isinstance(value, dict):
            raise SpecError((key,), f"the section must be a mapping, not a {_kind(value)}.")
    return spec


def _kind(value: Any) -> str:
    return "list" if isinstance(value, list) else "single value"


def _walk(node: Any, where: Where, lines: dict[Where, int], above: tuple[int, ...]) -> None:
    """Note the line of everything below a node; refuse what is ambiguous or not the same as JSON."""
    if where:
        lines.setdefault(where, node.start_mark.line + 1)
    if node.tag == _TIMESTAMP:
        node.tag = "tag:yaml.org,2002:str"  # a date stays the text that was written
    if node.tag not in _TAGS:
        raise SpecError(where, f"values of the type {node.tag.rpartition(':')[2]} are not understood here.")
    if id(node) in above:
        raise SpecError(where, "it contains itself.")
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*where, index), lines, (*above, id(node)))
    elif isinstance(node, yaml.MappingNode):
        first: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.tag == _MERGE:
                continue
            if not isinstance(key, yaml.ScalarNode) or key.tag not in ("tag:yaml.org,2002:str", _TIMESTAMP):
                shown = repr(key.value) if isinstance(key, yaml.ScalarNode) else f"a {_kind(key.value)}"
                lines.setdefault((*where, "?"), line)
                raise SpecError((*where, "?"), f"the key {shown} is not text.", "Quote it.")
            here = (*where, key.value)
            if key.value in first:
                lines[here] = line
                raise SpecError(here, f"the key stands here for the second time, first in line {first[key.value]}.")
            key.tag = "tag:yaml.org,2002:str"
            first[key.value] = line
            lines.setdefault(here, line)
            _walk(value, here, lines, (*above, id(node)))
