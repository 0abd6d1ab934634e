"""Malformed files: seeds of every format, and what can be done to them. One number decides one case."""

from __future__ import annotations

import copy
import gzip
import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

FILES: Final = Path(__file__).parents[1] / "datasets" / "foreign"
RAW: Final = Path(__file__).parents[3] / "shared" / "data" / "raw"

_XSTEST: Final = (
    "id,type,prompt,completion,annotation_1,annotation_2,agreement,final_label,gpt4_label\n"
    "1,t,p1,c,1_full_compliance,2_full_refusal,False,2_full_refusal,3_partial_refusal\n"
    '2,t,"p, ""2""",c,1_full_compliance,1_full_compliance,True,1_full_compliance,I cannot\n'
)
_ATTACK: Final = {
    "index": 0, "goal": "g", "behavior": "B", "category": "C", "prompt": "p", "response": "r", "jailbroken": True,
    "jailbroken_llama_guard1": False,
}  # fmt: skip
# name -> content, small files of the shapes that the other seeds do not have
_SMALL: Final[dict[str, str]] = {
    "xstest_v2_completions_m_gpteval.csv": _XSTEST,
    "artifact.json": json.dumps({"parameters": {"model": "m"}, "jailbreaks": [_ATTACK, _ATTACK]}),
    "model.json": json.dumps({"a": [{"test_case": "t", "generation": "g", "label": -1}], "b": []}),
    "judges.csv": "goal,prompt,target_response,human1,human2,human3,human_majority,gpt4_cf\ng,p,r,1,0,1,1,1\n",
    "strongreject.csv": "forbidden_prompt,response,refusal,score,evaluator,judge_model\np,r,1,0.5,e,j\np,q,0,nan,e,j\n",
    "harm.csv": "# dataset_version=1.0\ncategory,prompt,assistant_response,human_score_1\nv,p,r,0.25\nv,p,s,\n",
    "x_S_scoring_results.csv": "objective_or_harm,assistant_response,trial 1,trial 2\nv,r,0.5,1\nv,s,True,False\n",
    "y__human_annotations.json": json.dumps({"a": {"i": "Yes", "j": "No"}, "b": {"i": 1, "j": None}}),
    "crowd.csv": "task,worker,label\n1,a,x\n1,b,y\n2,a,x\n",
    "truth.csv": "question,truth\n1,x\n2,y\n",
    "manual.csv": "_id,model_id,prompt,response,manual_safeguard_violation_label,automatic_zou_none_label\n"
    "1,0,p,r,True,False\n2,1,q,r,False,\n",
    "outputs.jsonl": '{"prompt": "p", "response": "r", "model": "m"}\n{"prompt": "q", "response": "", "model": null}\n',
    "verdicts.csv": "item_id,judge,label,score,status\n1,a,x,0.5,ok\n2,a,,,parse_error\n",
}
NESTED: Final = 200_000


def seeds() -> list[tuple[str, bytes]]:
    """The files that mutations start from: those of other software, and small ones of our own."""
    made = [(name, text.encode()) for name, text in _SMALL.items()]
    return made + [(path.name, path.read_bytes()) for path in sorted(FILES.iterdir())]


def real_seeds() -> list[tuple[str, bytes]]:
    """The beginnings of the files that projects publish, where they are beside the repository."""
    found = sorted(path for path in RAW.rglob("*") if path.is_file())
    return [(path.name, b"".join(path.read_bytes().splitlines(keepends=True)[:400])) for path in found]


def case(number: int, files: list[tuple[str, bytes]]) -> tuple[str, bytes, str]:
    """The name and bytes of case `number`, and what was done: one to three mutations of one seed."""
    rng = random.Random(number)
    name, data = files[rng.randrange(len(files))]
    done = []
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        mutate = rng.choice(_MUTATIONS)
        data = mutate(rng, name, data)
        done.append(mutate.__name__.strip("_"))
    if rng.random() < 0.1:  # the extension is a hint alone
        name = Path(name).stem + rng.choice((".json", ".jsonl", ".csv", ".tsv", ".parquet", ".eval", ""))
    return name, data, f"{name}: {', '.join(done)}"


def _cut(rng: random.Random, _name: str, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _flip(rng: random.Random, _name: str, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(rng.randrange(1, 20)):
        if out:
            out[rng.randrange(len(out))] = rng.randrange(256)
    return bytes(out)


def _insert(rng: random.Random, _name: str, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    odd = (
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b'"',
        b"\n",
        b"\r",
        b",",
        b"{",
        b"]",
        b"\\ud800",
        b"NaN",
        b"1e999",
        b"\x85",
    )
    return data[:at] + rng.choice(odd) * rng.choice((1, 1, 2, 100)) + data[at:]


def _lose(rng: random.Random, _name: str, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.randrange(1, 200) :]


def _double(rng: random.Random, _name: str, data: bytes) -> bytes:
    at, end = sorted(rng.randrange(len(data) + 1) for _ in range(2))
    return data[:end] + data[at:end] * rng.choice((1, 2, 20)) + data[end:] if len(data) < 1 << 20 else data


def _encode(rng: random.Random, _name: str, data: bytes) -> bytes:
    text = data.decode("utf-8", errors="replace") + "é"
    return text.encode(rng.choice(("utf-16", "utf-16-le", "utf-32", "latin-1", "cp1252", "utf-7")), errors="replace")


def _squeeze(rng: random.Random, _name: str, data: bytes) -> bytes:
    packed = gzip.compress(data)
    return packed if rng.random() < 0.5 else packed[: rng.randrange(len(packed))]


def _nest(rng: random.Random, _name: str, data: bytes) -> bytes:
    deep = rng.choice((b"[", b'{"a":')) * rng.choice((1_000, NESTED))
    return deep if rng.random() < 0.5 else data[: len(data) // 2] + deep + data[len(data) // 2 :]


_ODD: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1.5, 10**18, 10**400, -(10**40), float("inf"), float("nan"), "", " ", "x", "\0",
    "\ud800", "\u202e", "=cmd", "1", "-1", "x" * 100_000, [], {}, [None], [[]], {"": 0}, {"a": {"b": [1]}},
)  # fmt: skip


def _values(rng: random.Random) -> Any:
    deep: Any = 0
    for _ in range(rng.choice((3, 50, 500))):
        deep = [deep]
    return rng.choice((*_ODD, deep))


def _swap_types(rng: random.Random, _name: str, data: bytes) -> bytes:
    """Replace, drop or rename some values of a JSON document or of JSON Lines, wherever they stand."""
    try:
        return json.dumps(_changed(rng, json.loads(data))).encode()
    except (ValueError, RecursionError):
        pass
    lines = data.decode(errors="replace").split("\n")
    at = rng.randrange(len(lines))
    try:
        lines[at] = json.dumps(_changed(rng, json.loads(lines[at])))
    except (ValueError, RecursionError):
        cells = lines[at].split(",")
        cells[rng.randrange(len(cells))] = str(_values(rng))[:2000]
        rng.shuffle(cells) if rng.random() < 0.3 else None
        lines[at] = ",".join(cells)
    return "\n".join(lines).encode(errors="replace")


def _changed(rng: random.Random, document: Any) -> Any:
    document = copy.deepcopy(document)
    for _ in range(rng.choice((1, 1, 2, 5))):
        places = list(_places(document))
        if not places:
            return _values(rng)
        holder, key = rng.choice(places)
        what = rng.random()
        if what < 0.75:
            holder[key] = _values(rng)
        elif what < 0.9:
            del holder[key]
        elif isinstance(holder, dict):
            holder[str(_values(rng))[:50]] = holder.pop(key)
    return document


def _places(value: Any) -> list[tuple[Any, Any]]:
    found, open_ = [], [value]
    while open_:
        one = open_.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one)) if isinstance(one, list) else []
        for key in keys:
            found.append((one, key))
            open_.append(one[key])
    return found


def _rezip(rng: random.Random, name: str, data: bytes) -> bytes:
    """An Inspect log with one of its members changed; anything else inside a zip archive that looks like one."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as source:
                members = [(member, source.read(member)) for member in source.namelist()]
        except Exception:  # noqa: BLE001  (damaged already; inspect_ai teaches zipfile codecs with errors of their own)
            members = [("header.json", data)]
        chosen = rng.randrange(len(members)) if members else 0
        for at, (member, whole) in enumerate(members):
            change = rng.choice((_swap_types, _cut, _flip, _nest))
            content = change(rng, name, whole) if at == chosen else whole
            if at != chosen or rng.random() < 0.8:
                target.writestr(member, content)
    return out.getvalue()


_MUTATIONS: Final[tuple[Callable[[random.Random, str, bytes], bytes], ...]] = (
    _cut, _flip, _insert, _lose, _double, _encode, _squeeze, _nest, _swap_types, _swap_types, _swap_types, _rezip,
)  # fmt: skip


BOMBS: Final = ("header.json", "samples/a_epoch_1.json", "bomb.csv.gz", "bomb.json", "bomb.jsonl", "bomb.csv")
_FILLING: Final = {
    "bomb.csv.gz": (b"prompt,response\n", b"aaaaaaa,bbbbbbb\n"),
    "bomb.json": (b'{"parameters": {}, "jailbreaks": [', b" " * 16),
    "bomb.jsonl": (b'{"prompt": "p", "response": "r"}\n', b'{"prompt": "a"}\n'),
    "bomb.csv": (b"question,worker,answer\n", b"1,a,bbbbbbbbbbb\n"),
}


def bomb(name: str, megabytes: int = 1200) -> tuple[str, bytes, str]:
    """A small file that unpacks to much: a log with a member of 600 MB, a table or JSON of 1.2 GB inside gzip."""
    out = io.BytesIO()
    if name not in _FILLING:
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
            target.writestr("_journal/start.json", "{}")
            with target.open(name, "w", force_zip64=True) as member:
                for _ in range(600):
                    member.write(b" " * (1 << 20))
        return f"bomb_{name[:4]}.eval", out.getvalue(), f"zip bomb in {name}"
    start, filling = _FILLING[name]
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=6, mtime=0) as packed:
        packed.write(start)
        for _ in range(megabytes):
            packed.write(filling * (1 << 16))
    return name, out.getvalue(), f"gzip bomb {name}"
