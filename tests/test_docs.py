"""The pages hold together: every relative link leads to a file that is there, and to a heading that it has."""

import re
from pathlib import Path

import pytest

PAGES = ["README.md", "CONTRIBUTING.md", "datasets/DEMO.md", "tests/bench/README.md"]
PAGES += sorted(f"docs/{page.name}" for page in (Path(__file__).resolve().parents[1] / "docs").glob("*.md"))
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)|^\[[^\]]+\]:\s*(\S+)|\b(?:src|href)=\"([^\"]+)", re.MULTILINE)
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def anchors(text: str) -> set[str]:
    """The names GitHub gives to headings: lower case, no punctuation, hyphens for blanks."""
    titles = re.findall(r"^#+\s+(.*)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES)
def test_every_relative_link_leads_somewhere(repo_root: Path, page: str):
    path = repo_root / page
    broken = []
    for found in LINK.findall(CODE.sub("", path.read_text(encoding="utf-8"))):
        link = "".join(found)
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file) if file else path
        if not target.exists() or (
            anchor and target.suffix == ".md" and anchor not in anchors(target.read_text("utf-8"))
        ):
            broken.append(link)
    assert not broken, f"{page}: {broken}"
