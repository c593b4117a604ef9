"use strict";
(() => {
  const ready = () => {
    document.documentElement.dataset.ready = "true";
  };
  const data = JSON.parse(document.getElementById("data").textContent);
  const map = document.getElementById("map");
  if (!data || !map) return ready();

  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  const items = new Int32Array(bytes(data.items));
  const values = {
    counts: new Int32Array(bytes(data.counts)),
    perceived: new Float32Array(bytes(data.perceived)),
    islands: new Int32Array(bytes(data.islands)),
  };
  const scaled = (text, axis) =>
    Array.from(new Uint16Array(bytes(text)), (v) => data.points.low[axis] + v * data.points.step[axis]);
  const [x, y] = [scaled(data.points.x, 0), scaled(data.points.y, 1)];
  const told = Array.from(items, (item, i) => [
    item,
    values.counts[i],
    values.perceived[i].toFixed(2),
    values.islands[i] < 0 ? "none" : `of ${data.majority[values.islands[i]]}`,
  ]);

  const style = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const webgl = (() => {
    try {
      return Boolean(document.createElement("canvas").getContext("webgl"));
    } catch {
      return false;
    }
  })();
  const names = { counts: "True number", perceived: "Perceived number" };
  let colored = "counts";

  function marker() {
    const look = { size: Math.max(4, Math.min(8, 300 / Math.sqrt(items.length))), opacity: 0.8 };
    if (colored === "islands") {
      const paint = (island) => (island < 0 ? style("--rest") : data.palette[island % data.palette.length]);
      return { ...look, color: Array.from(values.islands, paint) };
    }
    return {
      ...look,
      color: Array.from(values[colored]),
      colorscale: "Viridis",
      colorbar: {
        title: { text: names[colored], side: "top", font: { size: 11, color: style("--quiet") } },
        orientation: "h", thickness: 9, len: 0.6, y: -0.09, yanchor: "top", outlinewidth: 0,
        tickfont: { size: 10, color: style("--quiet") },
      },
    };
  }

  // The commonest count of an island stands beside its median scene.
  function labels() {
    const middle = (places) => [...places].sort((p, q) => p - q)[Math.floor(places.length / 2)];
    return data.majority.flatMap((majority, island) => {
      const members = [...items.keys()].filter((i) => values.islands[i] === island);
      if (members.length === 0) return [];
      return [{
        x: middle(members.map((i) => x[i])), y: middle(members.map((i) => y[i])),
        text: `<b>${majority}</b>`, showarrow: false, captureevents: false, yshift: 16,
        font: { size: 11, color: style("--ink") }, bgcolor: style("--panel"), opacity: 0.85, borderpad: 1,
      }];
    });
  }

  function layout() {
    const axis = (text) => ({
      title: { text, font: { size: 11, color: style("--quiet") }, standoff: 4 },
      showticklabels: false, showgrid: false, zeroline: false, automargin: false, ticks: "",
    });
    return {
      xaxis: axis(data.axes[0]),
      yaxis: { ...axis(data.axes[1]), ...(data.equal ? { scaleanchor: "x" } : {}) },
      annotations: labels(),
      margin: { l: 34, r: 14, t: 34, b: 76 },
      font: { family: "system-ui, sans-serif" },
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      showlegend: false, hovermode: "closest", hoverdistance: 12, dragmode: "pan", uirevision: "keep",
      hoverlabel: { bgcolor: style("--panel"), bordercolor: style("--line"), font: { color: style("--ink") } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: style("--quiet"), activecolor: style("--ink") },
    };
  }

  const config = {
    responsive: true, displaylogo: false, doubleClick: "reset", showTips: false,
    modeBarButtons: [["zoomIn2d", "zoomOut2d", "resetScale2d"]],
  };

  function draw() {
    const scatter = {
      type: webgl ? "scattergl" : "scatter", mode: "markers", x, y, customdata: told, marker: marker(),
      hovertemplate: "%{customdata[1]} objects, perceived as %{customdata[2]}<br>island %{customdata[3]}<br>item %{customdata[0]}<extra></extra>",
    };
    for (const button of document.querySelectorAll("[data-colored]")) {
      button.setAttribute("aria-pressed", String(button.dataset.colored === colored));
    }
    return Plotly.react(map, [scatter], layout(), config);
  }

  for (const button of document.querySelectorAll("[data-colored]")) {
    button.addEventListener("click", () => {
      colored = button.dataset.colored;
      draw();
    });
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw().then(ready);
})();
