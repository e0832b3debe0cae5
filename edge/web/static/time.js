// The chart over time: one row a line, all on one axis of time, zoomed together. Its data come from data-source as JSON; the
// table below it says the same without JavaScript. Colours are read from the page's style, at first and when it changes.
"use strict";
(() => {
  const holder = document.getElementById("chart");
  const said = document.getElementById("chart-said");
  const ROW_PIXELS = 170;
  const LIVE_MILLISECONDS = 20000;
  let data = null;

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  // Steps with a pause where a time was not observed.
  function steps(line, values) {
    const x = [], y = [], told = [];
    line.start.forEach((start, at) => {
      if (at && line.end[at - 1] !== start) { x.push(line.end[at - 1]); y.push(null); told.push(""); }
      const words = interval(line, at);
      x.push(start, line.end[at]);
      y.push(values[at], values[at]);
      told.push(words, words);
    });
    return { x, y, told };
  }

  function interval(line, at) {
    if (line.low[at] === null || line.high[at] === null) return "";
    return ` (${short(line.low[at])} – ${short(line.high[at])})`;
  }

  function short(value) {
    return Math.abs(value) >= 10 ? String(Math.round(value)) : String(Number(value.toPrecision(2)));
  }

  // A closed outline for each run of bins that follow one another.
  function band(line) {
    const x = [], y = [];
    let run = [];
    const close = () => {
      if (!run.length) return;
      if (x.length) { x.push(null); y.push(null); }
      for (const at of run) { x.push(line.start[at], line.end[at]); y.push(line.high[at], line.high[at]); }
      for (const at of [...run].reverse()) { x.push(line.end[at], line.start[at]); y.push(line.low[at], line.low[at]); }
      x.push(line.start[run[0]]);
      y.push(line.high[run[0]]);
      run = [];
    };
    line.start.forEach((start, at) => {
      if (line.low[at] === null || line.high[at] === null) { close(); return; }
      if (run.length && line.end[run[run.length - 1]] !== start) close();
      run.push(at);
    });
    close();
    return { x, y };
  }

  function middles(line) {
    return line.start.map((start, at) => new Date((Date.parse(start) + Date.parse(line.end[at])) / 2).toISOString());
  }

  // What the band needs, but no more than three times the highest value: one wide interval must not flatten a line.
  function top(line) {
    const values = [...line.value, ...(line.raw || [])].filter((value) => value !== null);
    const high = line.high.filter((value) => value !== null);
    const most = Math.max(0, ...values);
    return Math.max(Math.min(Math.max(most, ...high), most ? 3 * most : Infinity), Number.EPSILON) * 1.08 || 1;
  }

  function figure() {
    const ink = colour("--ink"), muted = colour("--muted"), line = colour("--line"), accent = colour("--accent");
    const narrow = holder.clientWidth < 560;
    const traces = [], notes = [];
    const rows = data.lines.length;
    const gap = 46 / (rows * ROW_PIXELS);
    const layout = {
      height: rows * ROW_PIXELS + 40,
      margin: { l: narrow ? 44 : 56, r: 8, t: 4, b: 36 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: ink },
      showlegend: false,
      hovermode: "x",
      hoverlabel: { bgcolor: colour("--panel"), bordercolor: colour("--control"), font: { color: ink } },
      dragmode: narrow ? false : "zoom",
      uirevision: holder.dataset.source,
      modebar: { bgcolor: "rgba(0,0,0,0)", color: muted, activecolor: accent },
      xaxis: {
        type: "date", anchor: "free", position: 0, gridcolor: line, linecolor: line, zeroline: false, color: muted,
        hoverformat: "%b %e %H:%M", nticks: narrow ? 4 : 8,
      },
    };
    data.lines.forEach((each, at) => {
      const axis = "y" + (at ? at + 1 : "");
      const upper = 1 - at / rows, lower = 1 - (at + 1) / rows;
      layout["yaxis" + (at ? at + 1 : "")] = {
        domain: [lower, upper - gap], range: [0, top(each)], gridcolor: line, linecolor: line, zerolinecolor: muted,
        color: muted, nticks: 4, fixedrange: false, rangemode: "tozero",
      };
      notes.push({
        text: each.title, x: 0, xref: "paper", xanchor: "left", y: upper - gap, yref: "paper", yanchor: "bottom",
        showarrow: false, font: { color: ink, size: 14 },
      });
      const edges = band(each);
      traces.push({
        x: edges.x, y: edges.y, yaxis: axis, mode: "lines", fill: "toself", fillcolor: colour("--bar"), opacity: 0.4,
        line: { width: 0, color: colour("--bar") }, hoverinfo: "skip",
      });
      const drawn = steps(each, each.value);
      traces.push({
        x: drawn.x, y: drawn.y, customdata: drawn.told, yaxis: axis, mode: "lines", line: { color: accent, width: 2 },
        connectgaps: false, hovertemplate: "%{y:.4~g}%{customdata}", name: "",
      });
      if (each.raw) {
        traces.push({
          x: middles(each), y: each.raw, yaxis: axis, mode: "markers", marker: { color: ink, size: 5, symbol: "circle-open" },
          hovertemplate: "raw %{y:.4~g}", name: "",
        });
      }
    });
    layout.annotations = notes;
    return { traces, layout };
  }

  const config = {
    responsive: true,
    displaylogo: false,
    showSendToCloud: false, // nothing leaves the ship
    scrollZoom: false,
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "toImage"],
  };

  function draw() {
    if (!data || !data.lines.length) return;
    const { traces, layout } = figure();
    window.Plotly.react(holder, traces, layout, config).then(() => { holder.dataset.drawn = String(data.lines.length); });
    const names = data.lines.map((each) => each.title).join(", ");
    holder.setAttribute("role", "group");
    holder.setAttribute("aria-label", `Chart over time of ${names}. Every number of it stands in the table below.`);
  }

  async function load() {
    try {
      const answer = await fetch(holder.dataset.source, { headers: { Accept: "application/json" } });
      const told = await answer.json();
      if (!answer.ok) { say(told.fault); return; }
      const first = data === null;
      data = told;
      say("");
      draw();
      if (first) {
        document.getElementById("numbers").open = false;
        holder.on("plotly_relayout", zoomed);
      }
    } catch (fault) {
      say("The page does not answer; what is drawn may be old.");
    }
  }

  function say(words) {
    said.textContent = words;
  }

  // What was zoomed into may be asked for in narrower bins.
  function zoomed(change) {
    const link = document.getElementById("finer");
    const from = change["xaxis.range[0]"], to = change["xaxis.range[1]"];
    link.hidden = from === undefined;
    if (from === undefined) return;
    const asked = new URLSearchParams(location.search);
    asked.delete("bin");
    asked.set("from", from.replace(" ", "T").slice(0, 19));
    asked.set("to", to.replace(" ", "T").slice(0, 19));
    link.href = `${location.pathname}?${asked}`;
  }

  // The list of names: those that hold what was typed.
  const find = document.getElementById("asks-find");
  if (find) {
    find.closest("p").hidden = false;
    find.addEventListener("input", () => {
      const wanted = find.value.trim().toLowerCase();
      for (const item of document.querySelectorAll(".names li")) {
        item.hidden = !item.textContent.toLowerCase().includes(wanted) && !item.querySelector("input").checked;
      }
    });
  }

  delete document.head.appendChild; // see before-plotly.js
  if (!holder || !window.Plotly) return;
  load();
  document.addEventListener("planktow:theme", draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  if ("live" in holder.dataset) {
    setInterval(() => { if (!document.hidden) load(); }, LIVE_MILLISECONDS);
  }
})();
