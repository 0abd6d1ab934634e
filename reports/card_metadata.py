"""A card's front matter: results of the panel in `model-index`, spliced in so that all the rest stays byte for byte.

`huggingface_hub` writes a card's metadata anew as a whole: comments go, quotes and line breaks change, `model-index`
moves to the end. So its classes make and check what is added here, and only that is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from interjudge.agreement.results import Estimate
from interjudge.agreement.results_question import QuestionResult
from interjudge.errors import InputError
from interjudge.reports.card_section import rate_rows
from interjudge.reports.card_text import BOM
from interjudge.reports.escape import shorten, visible
from interjudge.reports.reliability import headline
from interjudge.reports.report import Report

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

MADE_WITH: Final = "interjudge"  # the value of a metric's args.tool, by which its results are known again
_JUDGES: Final = 12
_NAME: Final = 120
_DIGITS: Final = 4
_MEND: Final = "YAML that the Hub reads, or --no-metadata"


@dataclass(frozen=True)
class Results:
    """What goes into `model-index`: the model's name, the data set, and the results of every question."""

    model: str
    items: tuple[EvalResult, ...]


def results_of(
    report: Report,
    model: str,
    *,
    known_as: str | None = None,
    dataset: str = "other",
    dataset_name: str | None = None,
    source_url: str | None = None,
) -> Results:
    """The panel's results for one model: its rate under every judge and corrected, and the panel's alpha.

    `model`: as the report names it; `known_as`: as the card is to name it; `dataset`: its id on the Hub.
    """
    from huggingface_hub import EvalResult  # noqa: PLC0415 - half a second that only a card needs

    inputs = report.provenance.inputs
    name = dataset_name or (dataset if dataset != "other" else inputs[0].name if inputs else report.title)
    made = []
    for question in report.questions:
        for kind, title, estimate, args in _metrics(question, model):
            made.append(
                EvalResult(
                    task_type="text-generation",
                    task_name=f"Outputs judged for {shorten(question.agreement.question.name, 60)}",
                    dataset_type=visible(dataset, _NAME),
                    dataset_name=shorten(name, _NAME),
                    metric_type=kind,
                    metric_name=title,
                    metric_value=rounded(estimate.value),
                    metric_args=args,
                    source_url=source_url,
                    source_name=MADE_WITH if source_url else None,
                    # Questions are results of their own: the Hub groups by these five keys and not by the task's name.
                    dataset_config=shorten(question.agreement.question.name, 60),
                )
            )
    return Results(visible(known_as or model, _NAME), tuple(made))


def _metrics(question: QuestionResult, model: str) -> list[tuple[str, str, Estimate, dict[str, Any]]]:
    a = question.agreement
    found: list[tuple[str, str, Estimate, dict[str, Any]]] = []
    for row in rate_rows(question, model):
        label = shorten(row.label, 60)
        if row.best is not None and row.best.corrected and row.best.quoted.value is not None:
            how = {"label": label, "method": row.best.recommended, "reference_labels": row.best.n_labelled}
            found.append(("rate", f"Rate of {label}, corrected", row.best.quoted, {**how}))
        known = [(judge, e) for judge, e in row.judged if e.value is not None]
        if len(known) > _JUDGES:  # the lowest and the highest say what the judges' spread is
            known.sort(key=lambda entry: entry[1].value or 0.0)
            known = [known[0], known[-1]]
        found += [
            ("rate", f"Rate of {label}, by {shorten(judge, 60)}", e, {"label": label, "judge": shorten(judge, _NAME)})
            for judge, e in known
        ]
    alpha = headline(a, a.question.level)[1]
    if alpha is not None and alpha.value is not None:
        judges = [shorten(j.judge, _NAME) for j in a.judges[:_JUDGES]]
        whole: dict[str, Any] = {"judges": judges, "n_judges": len(a.judges), "of": "all outputs"}
        found.append(("krippendorff_alpha", "Krippendorff's alpha of the panel", alpha, whole))
    return [(kind, title, e, {**args, **_interval(e, a.confidence)}) for kind, title, e, args in found]


def _interval(e: Estimate, confidence: float) -> dict[str, Any]:
    said: dict[str, Any] = {"n": e.n}
    if e.ci_low is not None and e.ci_high is not None:
        said |= {"ci_low": rounded(e.ci_low), "ci_high": rounded(e.ci_high), "confidence": confidence}
    return {**said, "tool": MADE_WITH}


def rounded(value: float | None) -> float | None:
    """As the metadata has it: four decimals, and never -0.0."""
    return None if value is None else round(value, _DIGITS) + 0.0


# --- splicing ---


def front_matter(text: str) -> tuple[tuple[int, int] | None, int]:
    """Where the YAML stands between its lines of dashes (None without), and where the body begins."""
    from huggingface_hub.repocard import REGEX_YAML_BLOCK  # noqa: PLC0415

    skip = 1 if text.startswith(BOM) else 0
    found = REGEX_YAML_BLOCK.search(text[skip:])
    if found is None:
        return None, skip
    return (found.start(2) + skip, found.end(2) + skip), found.end() + skip


def metadata(text: str) -> dict[str, Any]:
    """The front matter as the Hub reads it.

    Raises
    ------
    InputError : it is no YAML, no mapping, or holds a `model-index` the Hub cannot read.
    """
    import yaml  # noqa: PLC0415
    from huggingface_hub import ModelCardData  # noqa: PLC0415

    place = front_matter(text)[0]
    raw = text[slice(*place)] if place else ""
    try:
        found = yaml.safe_load(raw) or {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        row = f"line {mark.line + 2}" if mark is not None else None
        problem = getattr(error, "problem", None) or type(error).__name__
        raise InputError(f"the front matter is no YAML: {problem}", row=row, expected=_MEND) from None
    if not isinstance(found, dict):
        raise InputError("the front matter is no mapping", found=type(found).__name__, expected="key: value")
    try:
        ModelCardData(**found)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(f"the Hub cannot read the front matter: {error}", expected=_MEND) from None
    return found


def with_results(text: str, results: Results, newline: str) -> tuple[str, int, list[str]]:
    """The text with these results in place of earlier ones of this tool; how many; what to tell the user."""
    before = metadata(text)
    index = before.get("model-index") or []
    made = _as_index(results)
    if made == _own(index):
        return text, len(results.items), []
    place, body = front_matter(text)
    if place is None:
        if not made:
            return text, 0, []
        head = text[:body]
        rest = text[body:]
        block = f"---{newline}{_dump([{'name': results.model, 'results': made}], newline)}---{newline}"
        return (
            head + block + (newline if rest.strip() and not rest.startswith(("\n", "\r")) else "") + rest,
            len(results.items),
            [],
        )
    raw = text[slice(*place)]
    spliced, notes = _spliced(raw, index, made, results.model, newline)
    after = text[: place[0]] + spliced + text[place[1] :]
    _check(before, metadata(after), made)
    return after, len(results.items), notes


def _as_index(results: Results) -> list[dict[str, Any]]:
    from huggingface_hub.repocard_data import eval_results_to_model_index  # noqa: PLC0415

    if not results.items:
        return []
    found: list[dict[str, Any]] = eval_results_to_model_index(results.model, list(results.items))[0]["results"]
    return found


def _is_own(result: object) -> bool:
    metrics = result.get("metrics") if isinstance(result, Mapping) else None
    return (
        bool(metrics)
        and isinstance(metrics, Sequence)
        and all(
            isinstance(m, Mapping) and isinstance(m.get("args"), Mapping) and m["args"].get("tool") == MADE_WITH
            for m in metrics
        )
    )


def _own(index: Sequence[Mapping[str, Any]]) -> list[Any]:
    return [result for element in index for result in element.get("results") or [] if _is_own(result)]


def _check(before: dict[str, Any], after: dict[str, Any], made: list[dict[str, Any]]) -> None:
    """Nothing but our results may differ, as the Hub reads it."""

    def others(data: dict[str, Any]) -> list[Any]:
        index = data.get("model-index") or []
        return [r for element in index for r in element.get("results") or [] if not _is_own(r)]

    rest = {key: value for key, value in before.items() if key != "model-index"}
    if (
        rest != {key: value for key, value in after.items() if key != "model-index"}
        or others(before) != others(after)
        or _own(after.get("model-index") or []) != made
    ):
        raise InputError(
            "this front matter cannot be added to without changing it",
            expected="a model-index in block style, or --no-metadata",
        )


def _dump(index: list[dict[str, Any]], newline: str) -> str:
    """A `model-index` key as the Hub's own dump writes it."""
    return _yaml({"model-index": index}, newline, "")


def _yaml(data: object, newline: str, indent: str) -> str:
    from huggingface_hub.utils._fixes import yaml_dump  # noqa: PLC0415

    lines = yaml_dump(data, sort_keys=False, width=10_000).split("\n")
    return "".join(f"{indent}{line}{newline}" for line in lines if line)


def _spliced(
    raw: str, index: Sequence[Mapping[str, Any]], made: list[dict[str, Any]], model: str, newline: str
) -> tuple[str, list[str]]:
    """The YAML with our results: among the others where the list is in block style, else the whole key anew."""
    import yaml  # noqa: PLC0415

    root = yaml.compose(raw, Loader=yaml.SafeLoader)
    if isinstance(root, yaml.MappingNode) and root.flow_style:
        raise InputError("the front matter is one flow mapping", expected="a line for each key, or --no-metadata")
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    found = next(((key, value) for key, value in pairs if key.value == "model-index"), None)
    if found is None:
        text = raw if not raw or raw.endswith("\n") else raw + newline
        return (text + _dump([{"name": model, "results": made}], newline)).removesuffix(newline), []
    key, value = found
    aliases = any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(raw, Loader=yaml.SafeLoader))
    regions = None if aliases else _regions(raw, _results_node(value, index, model))
    if regions is not None and (made or any(not own for *_, own in regions)):
        return _in_block(raw, regions, made, newline), []
    kept = [{**element, "results": list(element.get("results") or [])} for element in index]
    kept = kept or [{"name": model, "results": []}]
    for element in kept:
        element["results"] = [r for r in element["results"] if not _is_own(r)]
    next((e for e in kept if e.get("name") == model), kept[0])["results"] += made
    kept = [element for element in kept if element["results"]]
    start, end = key.start_mark.index, _line_after(raw, _last_end(value))
    text = _dump(kept, newline) if kept else ""
    note = "model-index was not a plain list in block style: it was written anew, with the same values"
    return (raw[:start] + text + raw[end:] if raw[end:] else (raw[:start] + text).removesuffix(newline)), [note]


def _results_node(value: Any, index: Sequence[Mapping[str, Any]], model: str) -> Any:
    """The list of results that ours go into, where it and all above it are in block style; else None."""
    import yaml  # noqa: PLC0415

    if not isinstance(value, yaml.SequenceNode) or value.flow_style or not value.value:
        return None
    at = next((i for i, element in enumerate(index) if element.get("name") == model), 0)
    if any(_is_own(result) for i, element in enumerate(index) if i != at for result in element.get("results") or []):
        return None  # ours stand under another name
    element = value.value[at]
    if not isinstance(element, yaml.MappingNode) or element.flow_style:
        return None
    results = next((node for key, node in element.value if key.value == "results"), None)
    if not isinstance(results, yaml.SequenceNode) or results.flow_style or not results.value:
        return None
    own = [_is_own(result) for result in index[at].get("results") or []]
    return results, own


def _regions(raw: str, found: Any) -> list[tuple[int, int, int, bool]] | None:
    """(begin, end, column of the dash, ours?) of every item as whole lines; None where they are none."""
    if found is None:
        return None
    results, own = found
    column = results.start_mark.column
    begins = []
    for item in results.value:
        dash = raw.rfind("-", 0, item.start_mark.index)
        line = raw.rfind("\n", 0, dash) + 1
        if dash - line != column or raw[line:dash].strip(" ") or raw[dash + 1 : item.start_mark.index].strip():
            return None
        begins.append(line)
    ends = [*begins[1:], _line_after(raw, _last_end(results))]
    return [(begin, end, column, is_own) for begin, end, is_own in zip(begins, ends, own, strict=True)]


def _in_block(raw: str, regions: list[tuple[int, int, int, bool]], made: list[dict[str, Any]], newline: str) -> str:
    """Our items out, the new ones in where the first of them stood, or after the last item."""
    block = _yaml(made, newline, " " * regions[0][2]) if made else ""
    at = next((begin for begin, *_, own in regions if own), regions[-1][1])
    parts, last = [], 0
    for begin, end, _, own in regions:
        if not own:
            continue
        parts.append(raw[last:begin])
        if begin == at:
            parts.append(block)
        last = end
    if at == regions[-1][1]:
        before = raw[last:at]
        parts += [before if before.endswith("\n") else before + newline, block]
        last = at
    whole = "".join([*parts, raw[last:]])
    return whole if raw[last:] else whole.removesuffix(newline)


def _last_end(node: Any) -> int:
    """Where the last thing in the node ends; the marks of a block itself reach over comments after it."""
    if isinstance(node.value, str) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _last_end(last[1] if isinstance(last, tuple) else last)


def _line_after(raw: str, at: int) -> int:
    """The end of the line that `at` lies in; what ended with its line is not taken further."""
    if at and raw[at - 1] == "\n":
        return at
    feed = raw.find("\n", at)
    return len(raw) if feed < 0 else feed + 1
