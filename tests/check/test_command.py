"""``sqlawait check`` and ``sqlawait rule`` as a user types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sqlawait.cli import app

WRONG = """\
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

engine = create_async_engine("postgresql+asyncpg://localhost/shop")
Sessions = async_sessionmaker(engine)


async def save() -> None:
    async with Sessions() as session:
        session.commit()
"""
RUFF_KEYS = {"code", "name", "message", "filename", "location", "end_location", "fix", "noqa_row", "url"}


def check(*arguments: object) -> Result:
    """Run ``sqlawait check``."""
    return CliRunner().invoke(app, ["check", *map(str, arguments)])


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    """A folder with a file in which SAW304 and SAW202 speak."""
    (tmp_path / "app.py").write_text(WRONG, encoding="utf-8")
    return tmp_path


def test_exit_codes_are_ruffs(wrong: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """0 for nothing found, 1 for something, 2 for a command that cannot be meant."""
    assert check(wrong).exit_code == 1
    assert check(tmp_path_factory.mktemp("empty")).exit_code == 0
    assert check(wrong, "--exit-zero").exit_code == 0
    assert check(wrong, "--select", "SAW999").exit_code == 2
    assert check(wrong, "--output-format", "yaml").exit_code == 2
    assert check(wrong / "missing").exit_code == 2


def test_json_has_ruffs_keys_and_columns_from_one(wrong: Path) -> None:
    """A tool that reads ruff's JSON reads this."""
    rows = json.loads(check(wrong, "--output-format", "json").stdout)
    assert [(row["code"], row["location"]) for row in rows] == [
        ("SAW304", {"row": 4, "column": 12}),
        ("SAW202", {"row": 9, "column": 9}),
    ]
    assert all(set(row) >= RUFF_KEYS for row in rows)
    assert rows[1]["fix"]["applicability"] == "safe"
    assert rows[1]["noqa_row"] == 9


def test_every_format_names_code_file_and_line(wrong: Path) -> None:
    """What a person, GitHub and a code scanner need."""
    assert "app.py:9:9: SAW202 [*]" in check(wrong, "--output-format", "concise").stdout
    full = check(wrong).stdout
    assert "9 |         session.commit()" in full
    assert "          ^^^^^^^^^^^^^^^^" in full
    assert ",line=9,col=9," in check(wrong, "--output-format", "github").stdout
    run = json.loads(check(wrong, "--output-format", "sarif").stdout)["runs"][0]
    region = run["results"][1]["locations"][0]["physicalLocation"]["region"]
    assert (run["results"][1]["ruleId"], region["startLine"], region["startColumn"]) == ("SAW202", 9, 9)


def test_select_and_ignore_take_codes_prefixes_and_names(wrong: Path) -> None:
    """``--select SAW2``, ``--ignore forget-await``."""
    assert "SAW304" not in check(wrong, "--select", "SAW2").stdout
    assert "SAW202" not in check(wrong, "--ignore", "forget-await").stdout


def test_a_noqa_comment_silences_its_codes_only(wrong: Path) -> None:
    """``# noqa: SAW202`` silences SAW202 on its line; another code does not."""
    source = WRONG.replace("session.commit()", "session.commit()  # noqa: SAW202")
    (wrong / "app.py").write_text(source.replace("(engine)", "(engine)  # noqa: SAW101"), encoding="utf-8")
    out = check(wrong).stdout
    assert "SAW202" not in out
    assert "SAW304" in out


def test_add_noqa_silences_everything_and_leaves_valid_code(wrong: Path) -> None:
    """After ``--add-noqa`` nothing is found, and each line has the code that was found on it."""
    assert check(wrong, "--add-noqa").exit_code == 0
    assert "session.commit()  # noqa: SAW202\n" in (wrong / "app.py").read_text(encoding="utf-8")
    assert check(wrong).exit_code == 0


def test_a_baseline_leaves_only_what_is_new(wrong: Path) -> None:
    """The first run writes it; known findings are left out, moved lines included; new ones are shown."""
    baseline = wrong / "baseline.json"
    assert check(wrong, "--baseline", baseline).exit_code == 0
    (wrong / "app.py").write_text("\n" + WRONG + "        session.rollback()\n", encoding="utf-8")
    out = check(wrong, "--baseline", baseline, "--output-format", "json").stdout
    assert [(row["code"], row["location"]["row"]) for row in json.loads(out)] == [("SAW202", 11)]
    baseline.write_text("not a baseline", encoding="utf-8")
    assert check(wrong, "--baseline", baseline).exit_code == 2


def test_diff_changes_nothing_and_fix_does(wrong: Path) -> None:
    """``--diff`` shows what ``--fix`` then writes; unsafe fixes need to be asked for."""
    shown = check(wrong, "--diff")
    assert shown.exit_code == 1
    assert "+        await session.commit()" in shown.stdout
    assert "expire_on_commit" not in shown.stdout
    assert (wrong / "app.py").read_text(encoding="utf-8") == WRONG
    assert check(wrong, "--fix").exit_code == 1
    assert check(wrong, "--fix", "--unsafe-fixes").exit_code == 0
    text = (wrong / "app.py").read_text(encoding="utf-8")
    assert "        await session.commit()" in text
    assert "async_sessionmaker(engine, expire_on_commit=False)" in text


def test_fixes_keep_line_endings_and_letters(tmp_path: Path) -> None:
    """Windows line endings and letters beyond ASCII before the place do not move an edit."""
    source = WRONG.replace("session.commit()", 'print("é→"); session.commit()').replace("\n", "\r\n")
    (tmp_path / "app.py").write_bytes(source.encode())
    check(tmp_path, "--fix", "--unsafe-fixes")
    assert 'print("é→"); await session.commit()\r\n'.encode() in (tmp_path / "app.py").read_bytes()


def test_statistics_count_by_rule(wrong: Path) -> None:
    """One line a rule."""
    assert check(wrong, "--statistics").stdout.startswith("1\tSAW202\t[*] forget-await\n1\tSAW304\t")


def test_settings_come_from_pyproject(wrong: Path) -> None:
    """``[tool.sqlawait]`` selects, ignores by file and excludes; a key that does not exist is an error."""
    (wrong / "other").mkdir()
    (wrong / "other" / "more.py").write_text(WRONG, encoding="utf-8")
    (wrong / "pyproject.toml").write_text(
        '[tool.sqlawait]\nignore = ["SAW304"]\nper-file-ignores = { "other/*" = ["SAW202"] }\n',
        encoding="utf-8",
    )
    rows = json.loads(check(wrong, "--output-format", "json").stdout)
    assert [(Path(row["filename"]).name, row["code"]) for row in rows] == [("app.py", "SAW202")]
    (wrong / "pyproject.toml").write_text('[tool.sqlawait]\nexclude = ["other"]\n', encoding="utf-8")
    rows = json.loads(check(wrong, "--output-format", "json").stdout)
    assert {Path(row["filename"]).name for row in rows} == {"app.py"}
    (wrong / "pyproject.toml").write_text("[tool.sqlawait]\nselects = []\n", encoding="utf-8")
    assert check(wrong).exit_code == 2


def test_a_broken_file_is_reported_and_the_rest_is_checked(wrong: Path) -> None:
    """Half a file is no reason to leave out the others."""
    (wrong / "half.py").write_text("def broken(:\n", encoding="utf-8")
    (wrong / "bytes.py").write_bytes(b"x = '\xff\xfe'\n")
    result = check(wrong, "--output-format", "concise")
    assert result.exit_code == 1
    assert "half.py:1:" in result.stdout
    assert "bytes.py:1:1: " in result.stdout
    assert "SAW202" in result.stdout


def test_nothing_of_the_code_base_is_run(tmp_path: Path) -> None:
    """A file that would write another when imported does not."""
    mark = tmp_path / "mark"
    (tmp_path / "app.py").write_text(f"open({str(mark)!r}, 'w').close()\n{WRONG}", encoding="utf-8")
    check(tmp_path)
    assert not mark.exists()


def test_rule_explains_and_lists() -> None:
    """By code or by name, and all of them."""
    by_code = CliRunner().invoke(app, ["rule", "SAW301"])
    by_name = CliRunner().invoke(app, ["rule", "touch-unloaded-relationship"])
    assert by_code.exit_code == 0
    assert by_code.stdout == by_name.stdout
    assert "## What to do" in by_code.stdout
    assert len(CliRunner().invoke(app, ["rule", "--all"]).stdout.splitlines()) == 27
    assert CliRunner().invoke(app, ["rule", "SAW999"]).exit_code == 2


def test_code_that_nests_deeply_is_checked(wrong: Path) -> None:
    """A sum of 3,000 terms and a chain of 1,500 branches, as generated code has them, stop nothing."""
    (wrong / "total.py").write_text("total = " + " + ".join(["'a'"] * 3000) + "\n", encoding="utf-8")
    branches = "".join(f"    elif x == {number}:\n        y = {number}\n" for number in range(1500))
    (wrong / "branch.py").write_text(
        f"def f(x):\n    if x is None:\n        y = 0\n{branches}", encoding="utf-8"
    )
    assert "Found 2 findings in 3 files." in check(wrong).stdout
