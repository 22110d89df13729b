"""Jinja templates of `task.yaml`: sandboxed, and a variable that is no column is an error that names the columns."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, Undefined, meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tao.errors import InputError
from tao_bench.task import suggest

Render = Callable[[Mapping[str, Any]], Any]
_EXPRESSION = re.compile(r"\s*\{\{(?:(?!\}\}|\{\{).)*\}\}\s*", re.DOTALL)


class Templates:
    """Compiles the templates of one task.

    Args:
        folder: The task's folder: ``schema(path)`` shows a database instance below it as a prompt does.
        line_of: Line of `task.yaml` on which a key (dotted) stands.
    """

    def __init__(self, folder: Path, line_of: Callable[[str], int]) -> None:
        self._folder, self._line_of = folder, line_of
        self._environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
        # Jinja's own is made for HTML and escapes < > & '
        self._environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
        self._environment.globals["schema"] = self._schema

    def where(self, key: str, line: int = 0) -> str:
        """``task.yaml:line`` of a key, `line` lines below it."""
        return f"{self._folder / 'task.yaml'}:{self._line_of(key) + line}"

    def variables(self, key: str, text: str) -> set[str]:
        """Columns that a template uses.

        Raises:
            InputError: It is no Jinja template.
        """
        known = set(self._environment.globals)
        return set(meta.find_undeclared_variables(self._parse(key, text))) - known

    def make(self, key: str, text: str, columns: set[str]) -> Render:
        """A template as a function of a row.

        A template that is one expression, ``{{ column }}``, gives the column's own value (a list, a number), any other
        gives text.

        Raises:
            InputError: It is no template, or uses what is no column.
        """
        used = {n.name: n.lineno for n in self._parse(key, text).find_all(nodes.Name) if n.ctx == "load"}
        for name in sorted(self.variables(key, text) - columns):
            below = used.get(name, 1) - (0 if "\n" in text else 1)  # a block's text begins on the line after its key
            raise InputError(
                f"`{key}` uses {name!r}, which is no column{suggest(name, columns)}",
                self.where(key, below),
                f"columns are {', '.join(sorted(columns))}",
            )
        if _EXPRESSION.fullmatch(text):
            expression = self._environment.compile_expression(
                text.strip()[2:-2].strip("-+ \n"), undefined_to_none=False
            )
            return lambda row: _defined(expression(**row))
        template = self._environment.from_string(text)
        return lambda row: template.render(**row)

    def _parse(self, key: str, text: str) -> nodes.Template:
        try:
            return self._environment.parse(text)
        except TemplateSyntaxError as error:
            below = error.lineno - (0 if "\n" in text else 1)
            raise InputError(f"`{key}` is no Jinja template ({error.message})", self.where(key, below)) from error

    def _schema(self, path: str) -> str:
        from tao.sql.instance import read_instance
        from tao.sql.schema_text import schema_lines

        return "\n".join(schema_lines(read_instance(self._folder / path)))


def _defined(value: Any) -> Any:
    if isinstance(value, Undefined):
        str(value)  # raises, naming what is missing
    return value


def render(template: Render, row: Mapping[str, Any], key: str, where: str) -> Any:
    """Fill a template with a row.

    Raises:
        InputError: It fails on this row.
    """
    try:
        return template(row)
    except InputError as error:
        raise InputError(f"`{key}` fails on this row ({error.what})", where, error.fix) from error
    except (TemplateError, TypeError, ValueError, KeyError, AttributeError, ZeroDivisionError, OverflowError) as error:
        raise InputError(f"`{key}` fails on this row ({error})", where, "mend the template or the row") from error
