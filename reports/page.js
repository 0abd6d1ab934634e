// The page itself: theme, contents, pictures. Runs without the explorer, and the page reads well without either.
(() => {
  "use strict";
  const root = document.documentElement;
  const names = {auto: "as the system", light: "light", dark: "dark"};
  const order = ["auto", "light", "dark"];
  const button = document.getElementById("theme");
  let theme = "auto";
  const remember = (key, value) => {
    try {
      if (value === undefined) return localStorage.getItem(key);
      localStorage.setItem(key, value);
    } catch (error) { /* a page from a file may have no storage */ }
    return null;
  };
  const show = (chosen) => {
    theme = order.includes(chosen) ? chosen : "auto";
    if (theme === "auto") root.removeAttribute("data-theme");
    else root.setAttribute("data-theme", theme);
    button.textContent = "Theme: " + names[theme];
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    show(order[(order.indexOf(theme) + 1) % order.length]);
    remember("interjudge-theme", theme);
  });
  show(remember("interjudge-theme"));

  const contents = document.getElementById("contents");
  const wide = matchMedia("(min-width: 76rem)");
  const unfold = () => { contents.open = wide.matches; };
  wide.addEventListener("change", unfold);
  unfold();

  // A link into a folded table opens it; paper shows everything.
  const reveal = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("main details:not([open])")].filter((d) => !d.closest("#explorer-app"));
    for (const d of closed) d.open = true;
  });
  addEventListener("afterprint", () => { for (const d of closed) d.open = false; });

  // Pictures: colours are CSS variables, so a change of theme needs no second drawing.
  const holder = document.getElementById("specs");
  if (!holder || !window.vegaEmbed) return;
  const specs = JSON.parse(holder.textContent);
  const font = getComputedStyle(document.body).fontFamily;
  const ink = "var(--ink)", soft = "var(--soft)", line = "var(--line)", grid = "var(--grid)";
  const config = {
    background: "transparent", font, aria: false,
    view: {stroke: "transparent"},
    axis: {
      domainColor: line, tickColor: line, gridColor: grid, labelColor: soft, titleColor: soft, labelFontSize: 12,
      titleFontSize: 12, titleFontWeight: "normal", labelLimit: 180, labelPadding: 6,
    },
    legend: {labelColor: ink, titleColor: soft, labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", labelLimit: 220},
    header: {labelColor: ink, titleColor: soft, labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", labelLimit: 220},
    text: {color: ink}, rule: {color: soft}, title: {color: ink},
    range: {category: ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8C8C8C", "#B8A500"]},
  };
  const draw = (id) => {
    const place = document.getElementById(id);
    const done = (failed) => {
      if (failed) {
        const words = document.createElement("p");
        words.className = "undrawn";
        words.textContent = "This picture could not be drawn here; its figures stand in the table beneath.";
        place.replaceChildren(words);
      }
      place.dataset.drawn = failed ? "no" : "yes";
    };
    return window.vegaEmbed(place.firstElementChild, specs[id], {
      actions: false, ast: true, logLevel: 2, renderer: "svg", defaultStyle: false, config, bind: document.getElementById(id + "-b"),
      tooltip: {disableDefaultStyle: true, theme: "page"},
    }).then(() => done(false), (error) => { console.warn(String(error)); done(true); });
  };
  const left = new Set(Object.keys(specs));
  const take = (id) => { if (left.delete(id)) draw(id); };
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) { seen.unobserve(entry.target); take(entry.target.id); }
  }, {rootMargin: "800px"});
  for (const id of left) seen.observe(document.getElementById(id));
  // The rest when nothing else is to do, so that paper and search find them.
  const later = window.requestIdleCallback || ((f) => setTimeout(f, 200));
  const next = () => { const [id] = left; if (id) { take(id); later(next); } };
  addEventListener("load", () => later(next));
})();
