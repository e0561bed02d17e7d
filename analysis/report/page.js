"use strict";
(() => {
  const root = document.documentElement;
  const prefersDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : prefersDark.matches);
  const kept = { // a browser may refuse storage to a page that is a file
    read: () => { try { return localStorage.getItem("acl-study-theme"); } catch { return null; } },
    write: (theme) => { try { localStorage.setItem("acl-study-theme", theme); } catch { /* not remembered */ } },
  };

  // Figures: drawn from their JSON; for a dark page marks that would not stand out from it are made lighter.
  const DARK = { // as in page.css
    paper: "#16191d", ink: "#e4e6e8", grid: "#363c43", luminance: 0.0095,
  };
  const figures = [...document.querySelectorAll("script.figure")].map((script) => ({
    place: script.previousElementSibling,
    content: script.textContent,
  }));

  function channels(colour) {
    const hex = /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.exec(colour);
    if (hex) {
      const digits = hex[1].length === 3 ? [...hex[1]].map((digit) => digit + digit).join("") : hex[1];
      return [0, 2, 4].map((start) => parseInt(digits.slice(start, start + 2), 16));
    }
    const rgb = /^rgb\(\s*([\d.]+),\s*([\d.]+),\s*([\d.]+)\s*\)$/.exec(colour);
    return rgb && rgb.slice(1).map(Number);
  }

  function luminance(rgb) { // WCAG 2
    const linear = rgb.map((value) => (value <= 10 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  }

  function onDark(value, key) {
    if (Array.isArray(value)) return key === "colorscale" ? value : value.map((each) => onDark(each, key));
    if (value && typeof value === "object") {
      const own = Object.fromEntries(Object.entries(value).map(([name, each]) => [name, onDark(each, name)]));
      return key === "textfont" ? { ...own, color: DARK.ink } : own;
    }
    if (key === "bgcolor") return DARK.paper;
    let rgb = typeof value === "string" && /color$/.test(key) ? channels(value) : null;
    if (!rgb) return value;
    while ((luminance(rgb) + 0.05) / (DARK.luminance + 0.05) < 4.5) rgb = rgb.map((each) => each + (255 - each) * 0.1);
    return `rgb(${rgb.map(Math.round).join(",")})`;
  }

  // On a phone, labels of rows stand above their rows, and the legend takes the space below.
  const NARROW = 560; // px
  const rowsOf = (layout) => layout.yaxis?.ticktext && layout.meta?.narrows;
  function narrowed(layout) {
    const { tickvals, ticktext, range } = layout.yaxis;
    const labels = ticktext.map((text, place) => ({
      x: 0, xref: "paper", xanchor: "left", y: tickvals[place], yref: "y", yanchor: "bottom", yshift: 9, text, showarrow: false,
      font: { size: 12 }, bgcolor: "#ffffff", borderpad: 0,
    }));
    return {
      ...layout, height: 150 + 48 * ticktext.length, annotations: [...(layout.annotations ?? []), ...labels],
      yaxis: { ...layout.yaxis, showticklabels: false, range: [range[0], range[1] + 0.15] },
      margin: { ...layout.margin, l: 8, r: 8, b: 130 }, font: { ...layout.font, size: 12 },
    };
  }

  function draw(figure, dark, width) {
    const { place, content } = figure;
    const { data, layout: given } = JSON.parse(content);
    const isNarrow = rowsOf(given) && !width && innerWidth < NARROW;
    const layout = isNarrow ? narrowed(given) : given;
    const shown = dark ? onDark({ data, layout: { ...layout, template: undefined } }, "") : { data, layout };
    shown.layout.template = layout.template;
    if (dark) {
      Object.assign(shown.layout, { paper_bgcolor: DARK.paper, plot_bgcolor: DARK.paper });
      shown.layout.font = { ...shown.layout.font, color: DARK.ink };
      const axes = Object.keys(layout).filter((name) => /^[xy]axis\d*$/.test(name));
      const lines = { gridcolor: DARK.grid, zerolinecolor: DARK.grid, linecolor: DARK.grid };
      for (const name of axes) Object.assign(shown.layout[name], lines);
      shown.layout.modebar = { color: "#a6acb3", activecolor: DARK.ink, bgcolor: "rgba(0,0,0,0)" };
    }
    shown.layout.width = width; // undefined: that of the page
    shown.layout.uirevision = "kept"; // zoom and hidden lines stay when the colours change
    if (rowsOf(given)) place.classList.add("narrows");
    place.style.height = "";
    Plotly.react(place, shown.data, shown.layout, {
      displaylogo: false, showSendToCloud: false, plotlyServerURL: "", responsive: true, // nothing leaves the page
      displayModeBar: isNarrow ? false : "hover",
      toImageButtonOptions: { filename: place.id.replace("figure-", ""), scale: 2 },
    });
    figure.drawn = true;
  }
  const isFolded = ({ place }) => place.closest("details:not([open])") !== null;

  // A figure is drawn when it comes near the window, so that a page with many opens at once.
  const near = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const figure = figures.find(({ place }) => place === target);
      if (isIntersecting && !figure.drawn) draw(figure, isDark());
    }
  }, { rootMargin: "600px" });
  const redraw = () => { for (const figure of figures) if (figure.drawn) draw(figure, isDark()); };

  // Light and dark
  const button = document.getElementById("theme");
  function show(theme) {
    if (theme) root.dataset.theme = theme;
    button.textContent = isDark() ? "Light page" : "Dark page";
    redraw();
  }
  button.addEventListener("click", () => { const theme = isDark() ? "light" : "dark"; kept.write(theme); show(theme); });
  prefersDark.addEventListener("change", () => show(root.dataset.theme));
  button.hidden = false;
  show(["light", "dark"].includes(kept.read()) ? kept.read() : undefined);
  for (const { place } of figures) near.observe(place);
  let wasNarrow = innerWidth < NARROW;
  addEventListener("resize", () => {
    if (wasNarrow === innerWidth < NARROW) return;
    wasNarrow = innerWidth < NARROW;
    redraw();
  });

  // Folds: a link to something folded opens it, and one button opens all
  function unfoldTarget() {
    const target = document.getElementById(location.hash.slice(1)); // our anchors need no escapes
    if (!target) return; // also without a hash
    for (let fold = target.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
    target.scrollIntoView();
  }
  addEventListener("hashchange", unfoldTarget);
  const unfold = document.getElementById("unfold");
  const folds = [...document.querySelectorAll("details.more")];
  const areOpen = () => folds.every((fold) => fold.open);
  const nameButton = () => { unfold.textContent = areOpen() ? "Close all details" : "Open all details"; };
  unfold.addEventListener("click", () => {
    const open = !areOpen();
    for (const fold of folds) fold.open = open;
  });
  for (const fold of folds) fold.addEventListener("toggle", nameButton);
  unfold.hidden = folds.length === 0;
  unfoldTarget();

  // The contents bar marks the chapter that is read
  const chapters = [...document.querySelectorAll(".chapter")];
  const links = new Map([...document.querySelectorAll("nav a")].map((link) => [link.hash.slice(1), link]));
  function mark() {
    const read = chapters.filter((chapter) => chapter.getBoundingClientRect().top < innerHeight / 3).pop() ?? chapters[0];
    for (const [anchor, link] of links) {
      if (anchor === read.id) link.setAttribute("aria-current", "true"); else link.removeAttribute("aria-current");
    }
  }
  addEventListener("scroll", mark, { passive: true });
  mark();

  // Paper is light, and has what is open on the screen
  const PAPER_WIDTH = 1000; // pixels, which page.css zooms to the width of a page
  let opened = []; // short folds that paper needs: what the first screen rests on
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll(".context:not([open]), .outcomes details:not([open])")];
    for (const fold of opened) fold.open = true;
    for (const figure of figures) if (!isFolded(figure)) draw(figure, false, PAPER_WIDTH);
  });
  addEventListener("afterprint", () => {
    for (const fold of opened) fold.open = false;
    redraw();
    for (const { place, drawn } of figures) if (drawn) Plotly.Plots.resize(place);
  });

  // Tables: by the number behind a cell, else by its text; what is missing comes last either way
  function sort(heading) {
    const table = heading.closest("table");
    const rising = heading.getAttribute("aria-sort") !== "ascending";
    for (const each of table.tHead.rows[0].cells) each.setAttribute("aria-sort", "none");
    heading.setAttribute("aria-sort", rising ? "ascending" : "descending");
    const value = (row) => {
      const cell = row.cells[heading.cellIndex];
      const text = cell.textContent.trim();
      return cell.hasAttribute("data-sort") ? Number(cell.dataset.sort) : text === "–" || text === "" ? null : text;
    };
    const order = (first, second) =>
      typeof first === "number" && typeof second === "number"
        ? first - second
        : String(first).localeCompare(String(second), "en", { numeric: true });
    const rows = [...table.tBodies[0].rows].map((row) => [value(row), row]);
    rows.sort(([first], [second]) => {
      if (first === null || second === null) return (first === null) - (second === null);
      return rising ? order(first, second) : order(second, first);
    });
    table.tBodies[0].append(...rows.map(([, row]) => row));
  }
  for (const each of document.querySelectorAll("th button")) each.addEventListener("click", () => sort(each.closest("th")));
})();
