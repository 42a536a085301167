"use strict";
(() => {
  const root = document.documentElement;
  root.classList.add("has-script");
  const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];

  // ---- light or dark
  const isDark = () => (root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  document.getElementById("theme").addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
  });

  // ---- tables: a click on a heading sorts by its column; unknown values come last
  const key = (row, column) => {
    const cell = row.cells[column];
    if (!("value" in cell.dataset)) return cell.textContent.trim().toLowerCase();
    return cell.dataset.value === "" ? null : Number(cell.dataset.value);
  };
  for (const table of all("table.sortable")) {
    all("th", table).forEach((heading, column) => {
      heading.tabIndex = 0;
      const sort = () => {
        const falls = heading.getAttribute("aria-sort") !== "descending" && heading.classList.contains("number")
          || heading.getAttribute("aria-sort") === "ascending";
        all("th", table).forEach((other) => other.removeAttribute("aria-sort"));
        heading.setAttribute("aria-sort", falls ? "descending" : "ascending");
        const body = table.tBodies[0];
        const rows = [...body.rows].map((row) => [key(row, column), row]);
        rows.sort(([a], [b]) => {
          if (a === null || b === null) return (a === null) - (b === null);
          return (a < b ? -1 : a > b ? 1 : 0) * (falls ? -1 : 1);
        });
        body.append(...rows.map(([, row]) => row));
      };
      heading.addEventListener("click", sort);
      heading.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
    });
  }

  // ---- charts: values under the pointer
  const block = document.getElementById("data");
  const data = block ? JSON.parse(block.textContent) : null;
  const LEFT = 48, RIGHT = 8, WIDTH = 400, TOP = 16, BOTTOM = 144;
  const most = data ? Math.max(...data.runs.filter(Boolean).map((run) => run.frames[run.frames.length - 1])) : 0;
  const written = (value, chart) => {
    if (value === null) return "unknown";
    const scaled = value * chart.factor;
    const size = Math.abs(scaled);
    const text = size !== 0 && size < 0.0005 ? scaled.toExponential(1)
      : scaled.toLocaleString("en", size >= 1000 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 3 });
    return `${text.replace("-", "\u2212")} ${chart.unit}`.trim();
  };
  const nearest = (frames, at) => {
    let low = 0, high = frames.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (frames[middle] < at) low = middle + 1; else high = middle;
    }
    return low > 0 && at - frames[low - 1] < frames[low] - at ? low - 1 : low;
  };
  const tip = document.createElement("div");
  tip.className = "tip";
  const cursor = document.createElementNS("http://www.w3.org/2000/svg", "line");
  cursor.setAttribute("class", "cursor");
  cursor.setAttribute("y1", TOP);
  cursor.setAttribute("y2", BOTTOM);
  const line = (text, colour) => {
    const row = document.createElement("div");
    if (colour !== undefined) {
      const mark = document.createElement("i");
      mark.className = `key run${colour % 6}`;
      row.append(mark);
    }
    row.append(text);
    return row;
  };
  const show = (svg, event) => {
    const chart = data.charts[svg.dataset.chart];
    const box = svg.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * WIDTH;
    const at = (x - LEFT) / (WIDTH - LEFT - RIGHT) * most;
    tip.replaceChildren();
    let frames = null;
    const several = Object.keys(chart.runs).length > 1;
    for (const [number, [mean, low, high]] of Object.entries(chart.runs)) {
      const run = data.runs[number];
      const index = nearest(run.frames, at);
      const value = written(mean[index], chart);
      const range = low[index] === high[index] || low[index] === null ? ""
        : ` (${written(low[index], { ...chart, unit: "" })} to ${written(high[index], chart)})`;
      if (frames === null || Math.abs(run.frames[index] - at) < Math.abs(frames - at)) frames = run.frames[index];
      if (!tip.childElementCount) tip.append(line(""));
      tip.append(several ? line(`${run.name}: ${value}${range}`, Number(number)) : line(`${value}${range}`));
      tip.firstChild.textContent = `${frames.toLocaleString("en")} frames, ${run.phase[index]}`;
    }
    const middle = LEFT + frames / most * (WIDTH - LEFT - RIGHT);
    cursor.setAttribute("x1", middle);
    cursor.setAttribute("x2", middle);
    svg.append(cursor);
    const figure = svg.closest("figure");
    figure.append(tip);
    const inside = figure.getBoundingClientRect();
    const left = box.left - inside.left + middle / WIDTH * box.width;
    tip.style.left = `${Math.max(4, Math.min(left + 10, inside.width - tip.offsetWidth - 4))}px`;
    tip.style.top = `${box.top - inside.top + box.height - 6}px`;
  };
  const hide = () => { tip.remove(); cursor.remove(); };
  for (const svg of data ? all("svg[data-chart]") : []) {
    for (const name of ["pointermove", "pointerdown"]) svg.addEventListener(name, (event) => show(svg, event));
    svg.addEventListener("pointerleave", hide);
  }

  // ---- search: groups with a match open
  const search = document.getElementById("search");
  if (search) {
    const groups = all("#curves details");
    const before = groups.map((group) => group.open);
    search.addEventListener("input", () => {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      let found = 0;
      groups.forEach((group, index) => {
        const figures = all("figure", group);
        const hits = figures.filter((figure) => words.every((word) => figure.dataset.name.toLowerCase().includes(word)));
        figures.forEach((figure) => { figure.hidden = !hits.includes(figure); });
        group.hidden = hits.length === 0;
        group.open = words.length ? true : before[index];
        found += hits.length;
      });
      document.getElementById("found").textContent = words.length ? `${found} found` : "";
    });
  }

  // ---- replays: the viewer's page is stored once; each replay runs it in a frame of its own
  const decoded = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  for (const view of all(".view")) {
    const button = view.querySelector("button");
    button.addEventListener("click", () => {
      const page = new TextDecoder().decode(decoded(document.getElementById("viewer").textContent));
      const recording = view.querySelector("script").textContent;
      const given = `<script>window.__VISER_EMBED_DATA__="${recording}";`
        + `window.__VISER_EMBED_CONFIG__={darkMode:${isDark()}};<` + "/script>";
      const end = page.indexOf("</head>");
      const frame = document.createElement("iframe");
      frame.title = view.dataset.title;
      frame.srcdoc = page.slice(0, end) + given + page.slice(end);
      button.replaceWith(frame);
    });
  }

  // ---- print everything, also what is folded
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = all("details:not([open])");
    closed.forEach((details) => { details.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((details) => { details.open = false; }));
})();
