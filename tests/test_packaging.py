"""What the wheel carries, and what importing costs."""

import ast
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "transformers", "trl", "datasets", "lm_eval", "accelerate", "pandas", "matplotlib", "duckdb")
MOST_BYTES = 16 * 2**20


def run_python(code: str, folder: Path, **extra: str) -> str:
    """Output of Python code run in another process and folder, without this checkout on its path."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | extra
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    pytest.importorskip("hatchling", reason="hatchling is not installed; it comes with the test extra")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """The wheel unpacked somewhere else: what a non-editable install puts on the path."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_the_wheel_carries_the_tasks_inside_the_package(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert {name for name in tops if not name.endswith(".dist-info")} == {"tao", "tao_bench"}
    carried = {name.split("/")[2] for name in names if name.startswith("tao_bench/_tasks/")}
    assert carried == {path.parent.name for path in (ROOT / "tasks").glob("*/task.yaml")}
    assert not [name for name in names if "__pycache__" in name]


def test_the_wheel_holds_the_licence_and_no_large_file(wheel):
    with zipfile.ZipFile(wheel) as archive:
        infos = archive.infolist()
    assert any(info.filename.endswith("licenses/LICENSE") for info in infos)
    assert [info.filename for info in infos if info.file_size > MOST_BYTES] == []


def test_every_file_that_code_reads_is_in_the_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    kinds = (".py", ".yaml", ".json", ".jsonl", ".jinja", ".safetensors")
    data = [path for top in ("tao", "tao_bench") for path in (ROOT / top).rglob("*") if path.suffix in kinds]
    assert len(data) > 20
    assert [path for path in data if path.relative_to(ROOT).as_posix() not in names] == []


def test_an_install_elsewhere_finds_its_tasks(installed, tmp_path):
    code = (
        "import json, tao_bench; from tao_bench.registry import task_dirs; "
        "print(json.dumps([tao_bench.__file__, {k: str(v) for k, v in task_dirs().items()}]))"
    )
    file, tasks = json.loads(run_python(code, tmp_path, PYTHONPATH=str(installed)))
    assert file.startswith(str(installed))
    # Asked of the folder, not of the importer: an editable install of this checkout lets it find the source's tasks/.
    assert not (installed / "tasks").exists()
    folders = {Path(folder).name for folder in tasks.values()}  # a later version's folder is not its name
    assert folders == {path.parent.name for path in (ROOT / "tasks").glob("*/task.yaml")}
    assert all(Path(folder).is_relative_to(installed / "tao_bench" / "_tasks") for folder in tasks.values())


@pytest.mark.parametrize(("program", "module"), [("tao-bench", "tao_bench.cli"), ("tao", "tao.cli")])
def test_help_loads_nothing_heavy(program, module, installed, tmp_path):
    code = (
        f"import sys, importlib; sys.argv = [{program!r}, '--help']\n"
        f"try:\n    status = importlib.import_module({module!r}).main()\n"
        "except SystemExit as stop:\n    status = stop.code\n"
        f"print('STATUS', status, [name for name in {HEAVY!r} if name in sys.modules])"
    )
    output = run_python(code, tmp_path, PYTHONPATH=str(installed))
    assert output.splitlines()[-1] in ("STATUS 0 []", "STATUS None []")
    assert program in output


def test_importing_loads_nothing_heavy(installed, tmp_path):
    code = f"import sys, tao, tao_bench; print([name for name in {HEAVY!r} if name in sys.modules])"
    assert run_python(code, tmp_path, PYTHONPATH=str(installed)).strip() == "[]"


@pytest.mark.parametrize("path", sorted((ROOT / "tests" / "benchmarks").glob("*.py")), ids=lambda path: path.stem)
def test_what_a_benchmark_takes_from_the_project_is_there(path: Path) -> None:
    """No test runs the benchmarks, so a name that moved would be missed until somebody wants a figure."""
    taken = [
        (node.module, alias.name)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ImportFrom)
        and node.module
        and node.module.split(".")[0] in ("tao", "tao_bench", "tests")
        for alias in node.names
    ]
    for module, name in taken:
        found = importlib.import_module(module)
        assert hasattr(found, name) or importlib.util.find_spec(f"{module}.{name}"), f"{module} has no {name}"
