"""Python runs this at the start of every process that finds this folder on its path: what is sealed stays sealed.

See `tao_bench.firewall`. It is loaded by its file, for a child may stand anywhere and need not find our packages.
"""

import importlib.machinery
import importlib.util
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType

_HERE = Path(__file__).resolve().parent


def _load(name: str, spec: importlib.machinery.ModuleSpec | None) -> ModuleType | None:
    if spec is None or spec.loader is None:
        return None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _seal() -> None:
    """Seal what the parent has sealed; a process that cannot does not start."""
    try:
        name = "_tao_bench_firewall"
        firewall = _load(name, importlib.util.spec_from_file_location(name, _HERE.parent / "firewall.py"))
        assert firewall is not None
        firewall.seal_as_told()
    except BaseException:  # site would print it and go on
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def _go_on() -> None:
    """Run the `sitecustomize` that stands behind this one on the path, if there is one."""
    others = [entry for entry in sys.path if Path(entry).resolve() != _HERE]
    _load("sitecustomize", importlib.machinery.PathFinder.find_spec("sitecustomize", others))


_seal()
_go_on()
