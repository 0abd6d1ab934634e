// The outputs in dispute: unpack, filter, sort, page, open. All that comes from the data is set as text.
(() => {
  "use strict";
  const packed = document.getElementById("explorer-table");
  if (!packed) return;
  const app = document.getElementById("explorer-app");
  const PAGE = 25, NOT_ASKED = -2, SHORT = 26;  // characters of a name that stays on one line

  const unpack = async (id) => {
    const holder = document.getElementById(id);
    if (!holder) return null;
    const bytes = Uint8Array.from(atob(holder.textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return JSON.parse(await new Response(stream).text());
  };
  let texts;
  const withTexts = () => (texts ??= unpack("explorer-texts"));

  const el = (tag, attributes = {}, ...children) => {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name === "on") for (const [event, f] of Object.entries(value)) made.addEventListener(event, f);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false && value !== undefined) made.setAttribute(name, String(value));
    }
    made.append(...children);
    return made;
  };
  const option = (value, words) => el("option", {value}, words);
  const bdi = (words) => el("bdi", {}, words);
  const p3 = (mille) => (mille < 0 ? "" : (mille / 1000).toFixed(3));
  const plural = (n, noun) => n.toLocaleString("en") + " " + noun + (n === 1 ? "" : "s");

  const start = (data) => {
    const {outputs, questions} = data;
    const hasTexts = Boolean(document.getElementById("explorer-texts"));
    const named = (column, output) => {
      const known = outputs[column];
      return known && known.of[output] >= 0 ? known.names[known.of[output]] : "";
    };
    const state = {q: 0, find: "", judge: -1, model: -1, category: -1, reason: "", least: 0, flagged: false,
      sort: "", up: false, page: 0, unfold: false};
    let rows = [], lowered = null, open = new Set();

    // Figures of one row, for the judge that is chosen or for all.
    const judgesOf = (q) => (state.judge < 0 ? q.verdicts.keys() : [state.judge]);
    const highest = (q, row) => {
      let most = -1;
      for (const j of judgesOf(q)) if (q.verdicts[j].p[row] > most) most = q.verdicts[j].p[row];
      return most;
    };
    const flags = (q, row) => {
      let n = 0;
      for (const j of judgesOf(q)) n += q.verdicts[j].flagged[row];
      return n;
    };
    const votes = (q, row) => {
      const n = new Map();
      for (const v of q.verdicts) if (v.label[row] >= 0) n.set(v.label[row], (n.get(v.label[row]) || 0) + 1);
      return [...n].sort((a, b) => b[1] - a[1] || a[0] - b[0]);
    };
    const votesInWords = (q, row) => {
      const missing = q.verdicts.filter((v) => v.label[row] === -1).length;
      const said = votes(q, row).map(([label, n]) => n + "\u00a0" + q.labels[label]);
      return [...said, ...(missing ? [missing + "\u00a0not\u00a0ok"] : [])].join(", ");
    };
    const reasons = (q, row) => {
      const found = new Set(q.reasons[q.why[row]]);
      for (const j of judgesOf(q)) for (const reason of q.reasons[q.verdicts[j].why[row]]) found.add(reason);
      return [...found];
    };
    const kind = (reason) => (reason.startsWith("alone against") ? "alone against the others" : reason);

    const columns = [
      {key: "item", head: "output", value: (q, row) => outputs.id[q.output[row]], left: true},
      ...(outputs.model ? [{key: "model", head: "model", value: (q, row) => named("model", q.output[row]), left: true, spare: true}] : []),
      ...(outputs.category ? [{key: "category", head: "category", value: (q, row) => named("category", q.output[row]), left: true, spare: true}] : []),
      {key: "consensus", head: "consensus", value: (q, row) => (q.consensus[row] < 0 ? "" : q.labels[q.consensus[row]]), left: true},
      {key: "doubt", head: "consensus wrong", value: (q, row) => q.doubt[row], number: true, words: p3},
      {key: "p", head: "verdict wrong", value: highest, number: true, words: p3},
      {key: "flagged", head: "flagged", value: flags, number: true, spare: true, words: (n) => (n ? String(n) : "")},
      {key: "votes", head: "verdicts", value: votesInWords, left: true, spare: true, fixed: true},
    ];

    // The table of one page.
    const status = el("span", {class: "grow", role: "status", "aria-live": "polite"});
    const back = el("button", {type: "button", on: {click: () => turn(-1)}}, "Previous");
    const forth = el("button", {type: "button", on: {click: () => turn(1)}}, "Next");
    const body = el("tbody");
    const heads = el("tr");
    const caption = el("caption", {class: "unseen"}, "Outputs in dispute");
    const table = el("table", {class: "outputs"}, caption, el("thead", {}, heads), body);
    for (const column of columns) {
      const words = column.fixed ? column.head : el("button", {type: "button", on: {click: () => sortBy(column)}}, column.head);
      column.th = el("th", {scope: "col", class: (column.left ? "l name" : "r") + (column.spare ? " spare" : "")}, words);
      heads.append(column.th);
    }

    const sortBy = (column) => {
      state.up = state.sort === column.key ? !state.up : !column.number;
      state.sort = column.key;
      update();
    };
    const turn = (by) => { state.page += by; draw(); };

    const compute = (texted) => {
      const q = questions[state.q];
      const words = [...state.find.toLowerCase().matchAll(/"([^"]+)"|(\S+)/g)].map((m) => m[1] || m[2]);
      rows = [];
      for (let row = 0; row < q.output.length; row++) {
        const output = q.output[row];
        if (state.model >= 0 && outputs.model.of[output] !== state.model) continue;
        if (state.category >= 0 && outputs.category.of[output] !== state.category) continue;
        if (state.judge >= 0 && q.verdicts[state.judge].label[row] === NOT_ASKED) continue;
        if (state.flagged && !flags(q, row)) continue;
        if (state.least > 0 && highest(q, row) < state.least) continue;
        if (state.reason && !reasons(q, row).some((reason) => kind(reason) === state.reason)) continue;
        if (words.length && !words.every((word) => haystack(output, texted).includes(word))) continue;
        rows.push(row);
      }
      const column = columns.find((c) => c.key === state.sort);
      for (const c of columns) {
        if (c === column) c.th.setAttribute("aria-sort", state.up ? "ascending" : "descending");
        else c.th.removeAttribute("aria-sort");
      }
      if (!column) return;
      const keys = new Map(rows.map((row) => [row, column.value(q, row)]));
      const way = state.up ? 1 : -1;
      const compare = column.number ? (a, b) => a - b : new Intl.Collator("en", {numeric: true}).compare;
      rows.sort((a, b) => way * compare(keys.get(a), keys.get(b)) || a - b);
    };
    const haystack = (output, texted) => {
      lowered ??= [];
      const known = lowered[output];
      if (known !== undefined) return known;
      const parts = [outputs.id[output], named("model", output), named("category", output)];
      if (texted) for (const column of ["prompt", "response"]) {
        const at = texted[column] ? texted[column][output] : -1;
        if (at >= 0) parts.push(texted.pool[at]);
      }
      return (lowered[output] = parts.join("\n").toLowerCase());
    };

    const update = async () => {
      state.page = 0;
      open = new Set();
      const texted = state.find && hasTexts ? await withTexts() : null;
      compute(texted);
      draw();
    };

    const draw = () => {
      const q = questions[state.q];
      const pages = Math.max(1, Math.ceil(rows.length / PAGE));
      state.page = Math.min(Math.max(state.page, 0), pages - 1);
      const shown = rows.slice(state.page * PAGE, (state.page + 1) * PAGE);
      body.replaceChildren(...shown.flatMap((row) => {
        const tr = line(q, row);
        return open.has(row) ? [tr, item(q, row)] : [tr];
      }));
      if (!shown.length) body.append(el("tr", {}, el("td", {colspan: columns.length}, "No output fits.")));
      const all = q.output.length;
      status.textContent = (rows.length === all ? plural(all, "output") : rows.length.toLocaleString("en") + " of " + plural(all, "output"))
        + (pages > 1 ? ", page " + (state.page + 1) + " of " + pages : "");
      back.disabled = state.page === 0;
      forth.disabled = state.page >= pages - 1;
    };

    const line = (q, row) => {
      const tr = el("tr", {class: open.has(row) ? "opened" : false});
      for (const column of columns) {
        const value = column.value(q, row);
        const words = column.words ? column.words(value) : value;
        const classes = (column.left ? "l name" : "r") + (column.spare ? " spare" : "");
        if (column.key === "item") {
          const button = el("button", {type: "button", class: "open" + (words.length <= SHORT ? " n" : ""), "aria-expanded": open.has(row), on: {click: () => toggle(q, row, tr)}}, bdi(words));
          tr.append(el("th", {scope: "row", class: classes}, button));
        } else tr.append(el("td", {class: classes}, bdi(words)));
      }
      return tr;
    };
    const toggle = (q, row, tr) => {
      const button = tr.querySelector(".open");
      if (open.delete(row)) tr.nextSibling.remove();
      else {
        open.add(row);
        tr.after(item(q, row));
      }
      button.setAttribute("aria-expanded", open.has(row));
      tr.classList.toggle("opened", open.has(row));
    };

    // One output, opened.
    const item = (q, row) => {
      const output = q.output[row];
      const cell = el("td", {class: "item", colspan: columns.length});
      const why = q.reasons[q.why[row]];
      const known = [named("model", output), named("category", output)].filter(Boolean);
      const about = el("p", {class: "text-head"}, bdi([...known, ...why].join(" \u00b7 ")));
      const truth = q.gold && q.gold[row] >= 0 ? [el("tr", {}, el("th", {scope: "row", class: "l name"}, "reference"),
        el("td", {class: "l"}, bdi(q.labels[q.gold[row]])), el("td", {class: "r"}), el("td", {class: "l wide"}, bdi("\u201c" + q.reference + "\u201d")))] : [];
      const lines = q.verdicts.flatMap((v, j) => (v.label[row] === NOT_ASKED ? [] : [verdict(q, j, row, output)]));
      const head = ["judge", "says", "wrong, probability", "reasons"].map((words, i) => el("th", {scope: "col", class: i === 2 ? "r" : "l"}, words));
      cell.append(about, el("div", {class: "scroll"}, el("table", {}, el("caption", {class: "unseen"}, "Verdicts on this output"),
        el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...truth, ...lines))));
      if (hasTexts) {
        cell.append(folded("Show prompt and response", async (place) => {
          const t = await withTexts();
          for (const column of ["prompt", "response"]) if (t[column] && t[column][output] >= 0) {
            place.append(el("p", {class: "text-head"}, column), el("div", {class: "text", dir: "auto"}, t.pool[t[column][output]] || "(empty)"));
          }
        }));
        cell.append(folded("Show what the judges wrote", async (place) => {
          const t = await withTexts();
          for (const j of q.judges) {
            const at = t.words[j] && t.words[j][output];
            if (at !== undefined) place.append(el("p", {class: "text-head"}, bdi(data.judges[j])), el("div", {class: "text", dir: "auto"}, t.pool[at]));
          }
          if (!place.childElementCount) place.append(el("p", {class: "text-head"}, "No judge gave a rationale."));
        }));
      }
      return el("tr", {class: "detail"}, cell);
    };
    const verdict = (q, j, row, output) => {
      const v = q.verdicts[j];
      const score = data.scores[q.judges[j]] && data.scores[q.judges[j]][output];
      const says = (v.label[row] < 0 ? "\u2014" : q.labels[v.label[row]]) + (score === undefined ? "" : " (" + score + ")");
      return el("tr", {}, el("th", {scope: "row", class: "l name"}, bdi(data.judges[q.judges[j]])), el("td", {class: "l"}, bdi(says)),
        el("td", {class: "r" + (v.flagged[row] ? " warn" : "")}, p3(v.p[row]) + (v.flagged[row] ? " flagged" : "")),
        el("td", {class: "l wide"}, bdi(q.reasons[v.why[row]].join(", "))));
    };
    const folded = (words, fill) => {
      const place = el("div");
      let filled = false;
      const box = el("details", {on: {toggle: () => { if (box.open && !filled) { filled = true; fill(place); } }}}, el("summary", {}, words), place);
      if (state.unfold) box.open = true;
      return box;
    };

    // What chooses.
    const field = (words, control, classes) => el("label", {class: classes || false}, words, control);
    const choose = (key, names) => {
      const select = el("select", {name: key, on: {change: () => { state[key] = key === "reason" ? select.value : Number(select.value); update(); }}});
      fill(select, names);
      return select;
    };
    const fill = (select, names) => select.replaceChildren(option(select.name === "reason" ? "" : -1, "any"), ...names.map(([value, words]) => option(value, words)));
    let timer;
    const find = el("input", {type: "search", name: "find", autocomplete: "off", spellcheck: "false", on: {input: () => {
      clearTimeout(timer);
      timer = setTimeout(() => { state.find = find.value; update(); }, 150);
    }}});
    const least = el("input", {type: "number", name: "least", min: 0, max: 1, step: 0.05, placeholder: "0", inputmode: "decimal", on: {input: () => {
      state.least = Math.round(1000 * (Number(least.value) || 0));
      update();
    }}});
    const tick = (key, words, then) => {
      const box = el("input", {type: "checkbox", name: key, on: {change: () => { state[key] = box.checked; then(); }}});
      return el("label", {class: "tick"}, box, words);
    };
    const places = (names) => names.map((name, i) => [i, name]);
    const judge = choose("judge", []), reason = choose("reason", []);
    const takeQuestion = () => {
      const q = questions[state.q];
      state.judge = -1;
      state.reason = "";
      fill(judge, q.judges.map((j, i) => [i, data.judges[j]]));
      fill(reason, [...new Set(q.reasons.flat().map(kind))].sort().map((name) => [name, name]));
      caption.textContent = "Outputs in dispute: " + q.name;
    };
    const which = el("select", {name: "question", on: {change: () => { state.q = Number(which.value); takeQuestion(); update(); }}},
      ...questions.map((q, i) => option(i, q.name)));
    const filters = el("form", {class: "filters", "aria-label": "Choose outputs", on: {submit: (event) => event.preventDefault()}},
      ...(questions.length > 1 ? [field("Question", which)] : []),
      field(hasTexts ? "Search names and texts" : "Search names", find, "find"),
      field("Judge", judge),
      ...(outputs.model ? [field("Model", choose("model", places(outputs.model.names)))] : []),
      ...(outputs.category ? [field("Category", choose("category", places(outputs.category.names)))] : []),
      field("Reason", reason),
      field("Verdict wrong, at least", least),
      tick("flagged", "Flagged only", () => update()),
      ...(hasTexts ? [tick("unfold", "Show texts when opened", () => draw())] : []),
    );
    takeQuestion();
    app.append(filters, el("div", {class: "explorer-status"}, status, back, forth),
      el("div", {class: "scroll", role: "region", tabindex: 0, "aria-label": "Outputs in dispute"}, table));
    compute(null);
    draw();
    app.hidden = false;
    document.getElementById("explorer-top").hidden = true;
    app.dataset.ready = "yes";
  };

  const failed = (error) => {
    const words = document.getElementById("explorer-old");
    words.textContent = "This browser cannot unpack the table of all outputs (" + String(error)
      + "). These are the first rows; flags.parquet and items.parquet hold them all.";
    words.hidden = false;
  };
  unpack("explorer-table").then(start).catch(failed);
})();
