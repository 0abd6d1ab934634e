"""`interjudge review`: labels saved at every click, by several reviewers, on a page that nobody else can use."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from interjudge.agreement.analysis import QuestionSpec, Tables, build
from interjudge.agreement.examine import Texts, examine
from interjudge.agreement.sampling import Sampling
from interjudge.datasets.reference import read_reference
from interjudge.datasets.verdicts import read_verdicts
from interjudge.errors import InputError
from interjudge.review_labels import Labels
from interjudge.review_queue import Queue, keep_queue, kept_queue, make_queue, queue_path
from interjudge.review_server import Review, ReviewServer

CHROMIUM = "/usr/bin/chromium"
HOSTILE = "<script>window.hit=1</script><img src=x onerror='window.hit=2'>\u202egnp.exe\x1b[31m {{7*7}} </script>"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 outputs, three judges that differ on a third of them; the texts are hostile."""
    made = tmp_path_factory.mktemp("review")
    ids = [f"o{n:02}" for n in range(60)]
    outputs = pl.DataFrame(
        {
            "item_id": ids,
            "prompt": [f"Question {i}" for i in ids],
            "response": [f"{HOSTILE} {i}" for i in ids],
            "model": "m",
        }
    )
    outputs.write_parquet(made / "outputs.parquet")
    said = [["no" if (n % 3 == 0 and j < 2) or n % 5 == 0 else "yes" for n in range(60)] for j in range(3)]
    pl.concat(
        pl.DataFrame({"item_id": ids, "judge": f"j{j}<b>", "label": said[j], "rationale": HOSTILE}) for j in range(3)
    ).write_parquet(made / "verdicts.parquet")
    return made


def queue_of(folder: Path, **more: object) -> Queue:
    tables = Tables(read_verdicts(folder / "verdicts.parquet"), pl.read_parquet(folder / "outputs.parquet"))
    options = {"random_share": 0.25, "doubtful_first": False, "seed": 0, **more}
    return make_queue(build(QuestionSpec(), tables), 20, **options)  # type: ignore[arg-type]


# The queue.


def test_the_queue_prefers_outputs_on_which_judges_differ(folder: Path):
    queue = queue_of(folder)
    split = sum("split" in item.why for item in queue.items)
    assert len(queue.items) == 20
    assert split / 20 > 16 / 60, "16 of the 60 outputs have judges that differ"
    first = queue_of(folder, doubtful_first=True)
    doubts = [item.p_consensus_wrong for item in first.items]
    assert doubts == sorted(doubts, reverse=True, key=lambda p: p or 0)


def test_the_queue_is_kept_and_read_again(folder: Path, tmp_path: Path):
    out = tmp_path / "labels.jsonl"
    assert kept_queue(out) is None
    keep_queue(queue_of(folder), out)
    assert kept_queue(out) == queue_of(folder)
    whole = queue_path(out).read_text()
    negative = whole.replace('"inclusion_probability": ', '"inclusion_probability": -')
    for broken in ("{}", "[", negative, whole.replace('"label": "yes"', '"label": "other"')):
        assert broken != whole
        queue_path(out).write_text(broken)
        with pytest.raises(InputError, match="is no queue of a review"):
            kept_queue(out)
    with pytest.raises(InputError, match="cannot be read: not a directory"):
        kept_queue(queue_path(out) / "labels.jsonl")


def test_the_rate_of_a_queue_in_order_of_doubt_comes_when_all_is_labelled(folder: Path):
    queue = queue_of(folder, doubtful_first=True)
    labels = {item.item_id: queue.labels[0] for item in queue.items}
    some = dict(list(labels.items())[:15])
    assert queue.rate(some, some, 0.95) is None
    assert queue.rate(labels, labels, 0.95) is not None
    found = queue.rate(some, labels, 0.95)  # the other five were seen, and could not be labelled
    assert found is not None
    assert found.n == 15


# The labels.


def row(item_id: str, judge: str, label: str | None) -> dict[str, object]:
    return {
        "item_id": item_id, "judge": judge, "repeat": 0, "judge_kind": "human", "construct": "x",
        "status": "ok" if label else "judge_refused", "label": label,
    }  # fmt: skip


def test_labels_are_verdicts_of_a_human_and_feed_the_reference(tmp_path: Path):
    labels = Labels(tmp_path / "labels.jsonl")
    for item_id, judge, label in [
        ("a", "ana", "yes"), ("b", "ana", "no"), ("c", "ana", None), ("a", "bo", "yes"), ("b", "bo", "yes"),
    ]:  # fmt: skip
        labels.put(row(item_id, judge, label))
    table = read_verdicts(labels.path)
    assert set(table["judge"]) == {"ana", "bo"}
    assert set(table["judge_kind"]) == {"human"}
    assert table["status"].to_list().count("judge_refused") == 1
    # b: they differ, so it has no reference label; c: nobody could say
    assert read_reference(labels.path).rows() == [("a", "yes")]


def test_verdicts_of_other_judges_are_no_reference(tmp_path: Path):
    """A file of verdicts is taken for the truth only where all of them are a human's."""
    labels = Labels(tmp_path / "labels.jsonl")
    labels.put(row("a", "ana", "yes"))
    labels.put({**row("b", "keyword:default", "yes"), "judge_kind": "keyword"})
    with pytest.raises(InputError, match="found keyword; expected verdicts of humans alone"):
        read_reference(labels.path)


def test_a_second_label_of_one_reviewer_replaces_the_first_and_may_be_taken_back(tmp_path: Path):
    labels = Labels(tmp_path / "labels.jsonl")
    labels.put(row("a", "ana", "yes"))
    labels.put(row("a", "ana", "no"))
    assert [r["label"] for r in labels.rows()] == ["no"]
    labels.drop("a", "ana")
    labels.drop("a", "ana")
    assert labels.rows() == []


def test_two_reviews_of_one_file_lose_nothing(tmp_path: Path):
    def give(name: str) -> None:
        mine = Labels(tmp_path / "labels.jsonl")  # as a process of its own would
        for n in range(25):
            mine.put(row(f"o{n}", name, "yes"))

    people = [threading.Thread(target=give, args=(name,)) for name in ("ana", "bo", "cy")]
    for one in people:
        one.start()
    for one in people:
        one.join()
    assert len(Labels(tmp_path / "labels.jsonl").rows()) == 75


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match=r"labels\.jsonl: cannot be written"),
        Labels(tmp_path / "file" / "labels.jsonl").locked(),
    ):
        pass


def test_a_file_of_something_else_is_left_alone(tmp_path: Path):
    path = tmp_path / "labels.jsonl"
    for other in ('{"item_id": "a"}\n', json.dumps({**row("a", "j", "yes"), "judge_kind": "keyword"}) + "\n", "[1]\n"):
        path.write_text(other)
        with pytest.raises(InputError, match="line 1: is no label of a review"):
            Labels(path).put(row("a", "ana", "yes"))
        assert path.read_text() == other


# The server.


@pytest.fixture
def server(folder: Path, tmp_path: Path) -> Iterator[ReviewServer]:
    outputs = pl.read_parquet(folder / "outputs.parquet")
    texts = {r["item_id"]: r for r in outputs.iter_rows(named=True)}
    running = ReviewServer(Review(queue_of(folder), Labels(tmp_path / "labels.jsonl"), texts, {}))
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield running
    running.shutdown()
    thread.join()
    running.server_close()


def ask(
    server: ReviewServer, path: str, said: object = None, *, token: str | None = None, **headers: str
) -> tuple[int, str]:
    connection = http.client.HTTPConnection(*server.server_address[:2], timeout=10)  # type: ignore[misc]
    where = f"/{server.token if token is None else token}/{path}"
    given = {"Origin": server.origin, **headers}
    connection.request("GET" if said is None else "POST", where, None if said is None else json.dumps(said), given)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_it_listens_on_this_machine_alone(server: ReviewServer):
    assert server.server_address[0] == "127.0.0.1"
    assert len(server.token) >= 32


def test_only_its_own_page_may_write(server: ReviewServer):
    item_id = server.review.queue.items[0].item_id
    said = {"reviewer": "ana", "item_id": item_id, "label": server.review.queue.labels[0]}
    assert ask(server, "label", said, token="wrong")[0] == 403
    assert ask(server, "", token="wrong")[0] == 403
    assert ask(server, "label", said, Origin="http://evil.example")[0] == 403
    assert ask(server, "label", said, Host="evil.example")[0] == 403  # a name that was made to resolve to us
    assert server.review.labels.rows() == []
    assert ask(server, "label", said)[0] == 200
    assert [r["item_id"] for r in server.review.labels.rows()] == [item_id]


def test_what_is_not_understood_is_refused_in_words(server: ReviewServer):
    item_id = server.review.queue.items[0].item_id
    for said, words in [
        ({"reviewer": "", "item_id": item_id, "label": None}, "name is not understood"),
        ({"reviewer": "a\u202eb", "item_id": item_id, "label": None}, "name is not understood"),
        ({"reviewer": "ana", "item_id": "elsewhere", "label": None}, "no such output"),
        ({"reviewer": "ana", "item_id": item_id, "label": "other"}, "no such label"),
        ({"reviewer": "ana", "item_id": item_id, "label": "yes", "note": 7}, "no text"),
        ([1], "not understood"),
        ("x" * 200_000, "too much"),
    ]:
        status, text = ask(server, "label", said)
        assert status == 400
        assert words in text
    assert ask(server, "nothing", {})[0] == 404
    assert server.review.labels.rows() == []


def test_the_report_s_corrected_rate_is_the_one_the_page_shows(folder: Path, tmp_path: Path):
    """Twelve labels of outputs that were drawn with unequal probabilities.

    The report's interval is that of the population of which the 60 outputs are a sample: theta (1 - theta) / 60 more
    variance, and as many degrees of freedom.
    """
    tables = Tables(read_verdicts(folder / "verdicts.parquet"), pl.read_parquet(folder / "outputs.parquet"))
    spec = QuestionSpec(positive="yes")
    queue = make_queue(build(spec, tables), 20, random_share=0.25, doubtful_first=False, seed=0)
    assert queue.label == "yes"
    review = Review(queue, Labels(tmp_path / "labels.jsonl"), {}, {})
    for n, item in enumerate(queue.items[:12]):
        review.label({"reviewer": "ana", "item_id": item.item_id, "label": ("yes", "no")[n % 3 == 0]})
    page = review.state("ana")["rate"]
    panel = build(spec, replace(tables, reference=read_reference(tmp_path / "labels.jsonl")))
    texts = Texts(pl.read_parquet(folder / "outputs.parquet"))
    rates = examine(panel, tables.verdicts, texts, sampling=Sampling(replicates=0)).result.rates
    assert rates is not None
    quoted = rates.rates[0].quoted
    assert quoted.value == pytest.approx(page["value"])
    assert rates.rates[0].recommended == "sampled"
    weight = np.array([1 / item.inclusion_probability for item in queue.items[:12]])
    t = stats.t.ppf(0.975, weight.sum() ** 2 / (weight @ weight) - 1)
    alone = (page["value"] - page["low"]) / t
    both = (alone**2 + page["value"] * (1 - page["value"]) / 60) ** 0.5
    assert quoted.ci_low == pytest.approx(page["value"] - t * both)


def test_labels_in_order_of_doubt_have_no_probability_for_they_are_no_sample(folder: Path, tmp_path: Path):
    queue = queue_of(folder, doubtful_first=True)
    review = Review(queue, Labels(tmp_path / "labels.jsonl"), {}, {})
    review.label({"reviewer": "ana", "item_id": queue.items[0].item_id, "label": "yes"})
    assert review.labels.rows()[0]["inclusion_probability"] is None
    assert read_reference(review.labels.path)["inclusion_probability"].to_list() == [None]


def test_the_page_is_blind_until_asked_and_shows_control_characters(server: ReviewServer):
    state = json.loads(ask(server, "state?reviewer=ana")[1])
    assert "\\u202e" in state["item"]["response"]
    assert "\\x1b[31m" in state["item"]["response"]
    assert "model" not in state["item"]
    assert "why" not in state["item"]
    asked = json.loads(ask(server, f"judges?reviewer=ana&item_id={state['item']['item_id']}")[1])
    assert asked["about"] == {"model": "m"}


def test_a_label_says_whether_its_reviewer_saw_the_judges_whatever_was_done_in_between(server: ReviewServer):
    """The judges of output 0 are asked for, then output 1 is labelled, then output 0; bo asked for nothing."""
    first, second = (item.item_id for item in server.review.queue.items[:2])
    label = server.review.queue.labels[0]
    assert ask(server, f"judges?reviewer=ana&item_id={first}")[0] == 200
    for item_id in (second, first):
        assert ask(server, "label", {"reviewer": "ana", "item_id": item_id, "label": label})[0] == 200
    assert ask(server, "take-back", {"reviewer": "ana", "item_id": first})[0] == 200
    for name in ("ana", "bo"):
        assert ask(server, "label", {"reviewer": name, "item_id": first, "label": label})[0] == 200
    shown = {(r["judge"], r["item_id"]): r["judges_shown"] for r in server.review.labels.rows()}
    assert shown == {("ana", second): False, ("ana", first): True, ("bo", first): False}


def test_a_note_that_was_cut_in_the_middle_of_a_character_is_saved(server: ReviewServer):
    """The first half of a smiling face's two code units, as a browser sends it."""
    said = {
        "reviewer": "ana",
        "item_id": server.review.queue.items[0].item_id,
        "label": None,
        "note": "so \ud83d \U0001f600",
    }
    assert ask(server, "label", said)[0] == 200
    assert [r["rationale"] for r in server.review.labels.rows()] == ["so \ufffd \U0001f600"]


def test_a_judge_is_no_reviewer(server: ReviewServer):
    """Beside the judge's own verdicts the label would be a second verdict of one judge."""
    server.review.automatic = {"j0"}
    said = {"reviewer": " j0 ", "item_id": server.review.queue.items[0].item_id, "label": None}
    status, text = ask(server, "label", said)
    assert status == 400
    assert "that of a judge" in text
    assert server.review.labels.rows() == []


def test_requests_that_are_no_requests_end_in_an_answer(server: ReviewServer, capfd: pytest.CaptureFixture[str]):
    said = {"reviewer": "ana", "item_id": server.review.queue.items[0].item_id, "label": None, "at": float("inf")}
    assert ask(server, "label", said)[0] == 200  # no place: the first without a label
    with socket.create_connection(server.server_address[:2]) as raw:  # type: ignore[arg-type]
        raw.sendall(f"GET http://[ HTTP/1.1\r\nHost: {server.origin.removeprefix('http://')}\r\n\r\n".encode())
        assert b" 400 " in raw.recv(1000).splitlines()[0]
    assert "Traceback" not in capfd.readouterr().err


# All of it.


def start(folder: Path, out: Path, *more: str) -> tuple[subprocess.Popen[str], str]:
    command = [
        sys.executable, "-c", "from interjudge.cli import main; main()", "review", str(folder / "verdicts.parquet"),
        "--outputs", str(folder / "outputs.parquet"), "--out", str(out), "--no-browser", "--next", "20", *more,
    ]  # fmt: skip
    env = {**os.environ, "PYTHONUNBUFFERED": "1"}
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
    assert running.stdout is not None
    line = running.stdout.readline()
    found = re.search(r"http://\S+/", line)
    assert found, line + running.stdout.read()
    return running, found[0]


@pytest.mark.slow
def test_a_review_in_a_browser_that_is_killed_and_goes_on(folder: Path, tmp_path: Path):  # noqa: PLR0915 - one sitting
    """With the keyboard alone: labels, a note, back, the judges; kill -9; the second command goes on. Nothing runs."""
    api = pytest.importorskip("playwright.sync_api")
    if not Path(CHROMIUM).exists():
        pytest.skip(f"there is no browser at {CHROMIUM}")
    out = tmp_path / "labels.jsonl"
    running, url = start(folder, out)
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic", "--no-first-run"]
    with api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=quiet)
        page = browser.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.goto(url)
        page.fill("#name", "ana")
        page.keyboard.press("Enter")
        count = page.locator("#count")
        for n in range(12):
            api.expect(count).to_contain_text(f"{n} of 20")
            page.keyboard.press("0" if n == 3 else "1" if n % 2 else "2")
        api.expect(count).to_contain_text("12 of 20")
        api.expect(page.locator("#rate-words")).to_contain_text("from 11 labels")  # one could not be said
        assert len(Labels(out).rows()) == 12, "every label is on the disk when the page says so"

        page.keyboard.press("j")
        api.expect(page.locator("#judges td").first).to_have_text("j0<b>")
        page.keyboard.press("n")
        page.keyboard.type("1 seen")
        page.keyboard.press("Escape")
        page.keyboard.press("1")
        api.expect(count).to_contain_text("13 of 20")
        last = Labels(out).rows()[-1]
        assert (last["rationale"], last["judges_shown"]) == ("1 seen", True)
        page.keyboard.press("ArrowLeft")
        api.expect(page.locator("#labels .given")).to_have_count(1)
        page.keyboard.press("u")
        api.expect(count).to_contain_text("12 of 20")

        page.keyboard.down("2")
        api.expect(count).to_contain_text("13 of 20")
        page.keyboard.down("2")  # held: it repeats, and is no second label
        page.keyboard.up("2")
        page.keyboard.press("ArrowLeft")
        api.expect(page.locator("#labels .given")).to_have_count(1)
        page.keyboard.press("u")
        api.expect(count).to_contain_text("12 of 20")

        running.send_signal(signal.SIGKILL)
        running.communicate()
        page.keyboard.press("1")
        api.expect(page.locator("#problem")).to_contain_text("What was saved is saved")
        complaints.clear()  # the browser tells of the connection that was refused
        again, url = start(folder, out, "--reviewer", "ana", "--seed", "5")
        page.goto(url)
        api.expect(count).to_contain_text("12 of 20")
        for n in range(12, 20):
            page.keyboard.press("1")
            if n < 19:
                api.expect(count).to_contain_text(f"{n + 1} of 20")
        api.expect(page.locator("#end")).to_be_visible()
        assert page.evaluate("window.hit") is None
        assert complaints == []
        browser.close()
    time.sleep(0.1)
    again.send_signal(signal.SIGINT)
    said, _ = again.communicate(timeout=20)
    assert again.returncode == 0
    assert "20 labels in" in said
    queued = [item.item_id for item in kept_queue(out).items]  # type: ignore[union-attr]
    assert sorted(r["item_id"] for r in Labels(out).rows()) == sorted(queued)
    assert read_verdicts([folder / "verdicts.parquet", out]).filter(judge="ana").height == 20


def test_bad_usage_is_one_line(folder: Path, tmp_path: Path):
    (tmp_path / "other.jsonl").write_text("{}\n")
    pl.read_parquet(folder / "outputs.parquet").head(3).write_parquet(tmp_path / "few.parquet")
    for out, outputs, words in [
        ("labels.csv", folder / "outputs.parquet", "JSON Lines"),
        ("other.jsonl", folder / "outputs.parquet", "is no label of a review"),
        ("labels.jsonl", tmp_path / "few.parquet", "outputs to review are not in it"),
    ]:
        command = [
            sys.executable, "-c", "from interjudge.cli import main; main()", "review", str(folder / "verdicts.parquet"),
            "--outputs", str(outputs), "--out", str(tmp_path / out), "--no-browser",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 2, done.stderr
        assert words in done.stderr
        assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "labels.queue.json").exists()
