"""What stands above the rooms keeps to the layers too (`lint-imports` holds the rooms to theirs)."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = {"scraping", "curation", "training", "webui"}
ALLOWED = {
    "service.py": {"tellapart"},
    "workflow.py": ROOMS | {"tellapart"},
    "cli": ROOMS | {"tellapart", "workflow", "cli"},
}


@pytest.mark.parametrize("module", ALLOWED)
def test_what_stands_above_the_rooms_imports_downwards_only(module: str) -> None:
    ours = ROOMS | {"tellapart", "workflow", "cli", "service"}
    files = [ROOT / module] if module.endswith(".py") else sorted((ROOT / module).rglob("*.py"))
    assert files
    assert {name for path in files for name in _imported(path)} & ours <= ALLOWED[module]


def test_the_rooms_import_no_top_level_module() -> None:
    above = {Path(module).stem for module in ALLOWED}
    found = {
        str(path.relative_to(ROOT)): bad
        for room in (*ROOMS, "tellapart")
        for path in (ROOT / room).rglob("*.py")
        if (bad := _imported(path) & above)
    }
    assert found == {}


def _imported(path: Path) -> set[str]:
    """First parts of the names that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names
