"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const maps = ["map-a", "map-b"].map((id) => document.getElementById(id));
  const cards = [...document.querySelectorAll(".card")];
  for (const image of document.querySelectorAll(".tile img")) {
    const sharpen = () => image.classList.toggle("small", image.naturalWidth < 64);
    if (image.complete) sharpen();
    else image.addEventListener("load", sharpen);
  }
  if (!data.points || !maps[0]) return;

  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  const items = new Int32Array(bytes(data.items));
  const clusters = data.clusters.map((text) => new Int16Array(bytes(text)));
  const place = new Map();
  items.forEach((item, index) => place.set(item, index));
  const points = data.points.map((side) => {
    const scaled = (text, axis) =>
      Float64Array.from(new Uint16Array(bytes(text)), (v) => side.low[axis] + v * side.step[axis]);
    return { x: scaled(side.x, 0), y: scaled(side.y, 1), explained: side.explained };
  });
  const state = { colored: 0, chosen: null };
  if (data.grids[0].length === 0 && data.grids[1].length > 0) state.colored = 1;

  const webgl = (() => {
    try {
      return Boolean(document.createElement("canvas").getContext("webgl"));
    } catch {
      return false;
    }
  })();
  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const accent = (side) => style(side === 0 ? "--a" : "--b");
  const color = (group) => data.palette[group % data.palette.length];
  const dot = Math.max(4, Math.min(8, 300 / Math.sqrt(items.length)));

  function trace(side, name, indices, marker) {
    return {
      type: webgl ? "scattergl" : "scatter",
      mode: "markers",
      name,
      x: indices.map((i) => points[side].x[i]),
      y: indices.map((i) => points[side].y[i]),
      customdata: indices.map((i) => items[i]),
      hoverinfo: "none",
      marker,
    };
  }

  function traces(side) {
    const labels = clusters[state.colored];
    const grids = data.grids[state.colored];
    const chosen = state.chosen;
    const lit = (i) => (chosen === null ? labels[i] >= 0 : labels[i] === chosen);
    const order = [...items.keys()];
    const members = order.filter(lit);
    const shown = grids.flatMap((grid, group) =>
      chosen === null || group === chosen ? grid.map((item) => [place.get(item), group]) : [],
    );
    const paint = (group) => (chosen === null ? color(group) : accent(state.colored));
    const seed = chosen === null ? -1 : place.get(grids[chosen][0]);
    const ring = chosen === null ? shown : [];
    const picked = chosen === null ? [] : shown.map(([i]) => i);
    return [
      trace(side, "rest", order.filter((i) => !lit(i)), {
        size: dot, color: style("--rest"), opacity: chosen === null ? 0.7 : 0.45,
      }),
      trace(side, "members", members, {
        size: dot, color: members.map((i) => paint(labels[i])), opacity: chosen === null ? 0.75 : 0.5,
      }),
      trace(side, "grid items", ring.map(([i]) => i), {
        size: 9, opacity: 1, color: ring.map(([, group]) => paint(group)),
        line: { width: 1.5, color: style("--ink") },
      }),
      trace(side, "chosen", picked, {
        size: picked.map((i) => (i === seed ? 17 : 12)),
        symbol: picked.map((i) => (i === seed ? "star" : "circle")),
        opacity: 1, color: accent(state.colored), line: { width: 1.5, color: style("--ink") },
      }),
    ];
  }

  const median = (values) => {
    const sorted = [...values].sort((p, q) => p - q);
    return sorted[Math.floor(sorted.length / 2)];
  };

  function numbers(side) {
    return data.grids[state.colored].flatMap((grid, group) => {
      if (grid.length === 0 || state.chosen !== null) return [];
      const where = grid.map((item) => place.get(item));
      return [{
        x: median(where.map((i) => points[side].x[i])),
        y: median(where.map((i) => points[side].y[i])),
        text: `<b>${group + 1}</b>`, showarrow: false, captureevents: false,
        font: { size: 11, color: style("--ink") },
        bgcolor: style("--panel"), bordercolor: color(group), borderwidth: 2, borderpad: 2,
      }];
    });
  }

  function layout(side) {
    const share = points[side].explained.map((v) => `${(100 * v).toFixed(0)} %`);
    const axis = (text) => ({
      title: { text, font: { size: 11, color: style("--quiet") }, standoff: 4 },
      showticklabels: false, showgrid: false, zeroline: false, automargin: false, ticks: "",
    });
    return {
      xaxis: axis(`first direction, ${share[0]} of the variance`),
      yaxis: { ...axis(`second, ${share[1]}`), scaleanchor: "x" },
      annotations: numbers(side),
      margin: { l: 34, r: 14, t: 40, b: 34 },
      font: { family: "system-ui, sans-serif" },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      showlegend: false, hovermode: "closest", hoverdistance: 12,
      dragmode: "pan", uirevision: "keep",
      modebar: { bgcolor: "rgba(0,0,0,0)", color: style("--quiet"), activecolor: style("--ink") },
    };
  }

  const config = {
    responsive: true, displaylogo: false, doubleClick: "reset", showTips: false,
    modeBarButtons: [["zoomIn2d", "zoomOut2d", "resetScale2d"]],
  };

  function describe() {
    const status = document.getElementById("status");
    if (!status) return;
    const name = data.representations[state.colored];
    const grid = state.chosen === null ? [] : data.grids[state.colored][state.chosen];
    status.textContent = state.chosen === null
      ? ""
      : `Group ${state.chosen + 1} of ${name}, ${grid.length} items. The star is the seed.`;
    document.getElementById("clear").hidden = state.chosen === null;
    for (const button of document.querySelectorAll("[data-colored]")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.colored) === state.colored));
    }
    for (const card of cards) {
      const chosen = Number(card.dataset.side) === state.colored && Number(card.dataset.group) === state.chosen;
      card.classList.toggle("chosen", chosen);
      card.querySelector("button").setAttribute("aria-pressed", String(chosen));
    }
  }

  function draw() {
    describe();
    unring();
    return Promise.all(maps.map((map, side) => Plotly.react(map, traces(side), layout(side), config)));
  }

  function choose(side, group) {
    const again = state.colored === side && state.chosen === group;
    state.colored = side;
    state.chosen = again ? null : group;
    return draw();
  }

  function clear() {
    if (state.chosen === null) return;
    state.chosen = null;
    draw();
  }

  // The ring is an element over the map: redrawing the map on every hover would be slow.
  function ringed(item) {
    const index = place.get(item);
    maps.forEach((map, side) => {
      const ring = map.parentElement.querySelector(".ring");
      const { xaxis, yaxis } = map._fullLayout ?? {};
      ring.hidden = index === undefined || !xaxis;
      if (ring.hidden) return;
      ring.style.left = `${map.offsetLeft + xaxis._offset + xaxis.l2p(points[side].x[index])}px`;
      ring.style.top = `${map.offsetTop + yaxis._offset + yaxis.l2p(points[side].y[index])}px`;
    });
  }

  function unring() {
    for (const ring of document.querySelectorAll(".ring")) ring.hidden = true;
  }

  const tooltip = document.getElementById("tooltip");
  const canvas = tooltip.querySelector("canvas");
  const sheets = data.sheets;
  const slots = new Map();
  let sheetImages = [];
  if (sheets) {
    sheets.items.forEach((item, slot) => slots.set(item, slot));
    sheetImages = sheets.uris.map((uri) => {
      const image = new Image();
      image.src = uri;
      return image;
    });
  }

  function paintThumbnail(item) {
    const slot = slots.get(item);
    canvas.hidden = slot === undefined;
    if (canvas.hidden) return;
    const image = sheetImages[Math.floor(slot / sheets.perSheet)];
    const within = slot % sheets.perSheet;
    const [width, height] = sheets.size;
    const left = (within % sheets.columns) * sheets.cell[0];
    const top = Math.floor(within / sheets.columns) * sheets.cell[1];
    const scale = canvas.width / Math.max(width, height);
    const [w, h] = [width * scale, height * scale];
    const pen = canvas.getContext("2d");
    pen.clearRect(0, 0, canvas.width, canvas.height);
    pen.imageSmoothingEnabled = scale < 3;
    pen.drawImage(image, left, top, width, height, (canvas.width - w) / 2, (canvas.height - h) / 2, w, h);
  }

  function tell(item, event) {
    const index = place.get(item);
    paintThumbnail(item);
    const write = (selector, text) => {
      const line = tooltip.querySelector(selector);
      line.textContent = text;
      line.hidden = text === "";
    };
    write(".name", data.names ? data.names[index] : `item ${item}`);
    write(".label", data.labels ? `label ${data.labels.classes[data.labels.codes[index]]}` : "");
    const groups = clusters.flatMap((labels, side) =>
      labels[index] < 0 ? [] : [`group ${labels[index] + 1} of ${data.representations[side]}`],
    );
    write(".groups", groups.join(", "));
    tooltip.hidden = false;
    const { width, height } = tooltip.getBoundingClientRect();
    const x = event.clientX + 18 + width > innerWidth ? event.clientX - 18 - width : event.clientX + 18;
    const y = Math.max(8, Math.min(event.clientY - height / 2, innerHeight - height - 8));
    tooltip.style.transform = `translate(${x}px, ${y}px)`;
    ringed(item);
  }

  function untell() {
    tooltip.hidden = true;
    unring();
  }

  function listen() {
    for (const map of maps) {
      map.on("plotly_hover", (event) => tell(event.points[0].customdata, event.event));
      map.on("plotly_unhover", untell);
      map.on("plotly_relayouting", untell);
      map.on("plotly_click", (event) => {
        const group = clusters[state.colored][place.get(event.points[0].customdata)];
        if (group >= 0 && group !== state.chosen) choose(state.colored, group);
      });
    }
    for (const card of cards) {
      card.addEventListener("click", (event) => {
        // Words are there to be read, marked and copied.
        if (!event.target.closest(".said")) choose(Number(card.dataset.side), Number(card.dataset.group));
      });
      for (const tile of card.querySelectorAll(".tile")) {
        tile.addEventListener("pointerenter", () => ringed(Number(tile.dataset.item)));
        tile.addEventListener("pointerleave", unring);
      }
    }
    for (const button of document.querySelectorAll("[data-colored]")) {
      button.addEventListener("click", () => {
        state.colored = Number(button.dataset.colored);
        state.chosen = null;
        draw();
      });
    }
    document.getElementById("clear")?.addEventListener("click", clear);
    document.addEventListener("keydown", (event) => {
      if (event.key === "Escape") clear();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  }

  draw().then(listen).then(() => {
    document.documentElement.dataset.ready = "true";
  });
})();
