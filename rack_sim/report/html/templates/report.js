"use strict";
(() => {
  const root = document.documentElement;
  const data = JSON.parse(document.getElementById("data").textContent);
  root.classList.add("scripted");

  // Theme: the system's until the reader chooses; print is always light.
  const button = document.getElementById("theme");
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  let printing = false;
  const isDark = () => !printing && (chosen === null ? system.matches : chosen);
  function showTheme() {
    root.dataset.theme = isDark() ? "dark" : "light";
    button.setAttribute("aria-pressed", String(isDark()));
  }
  showTheme();

  // Charts.
  const quick = { displaylogo: false, responsive: false, displayModeBar: "hover",
    modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d", "toImage"] };
  function coloured(value, style) {
    if (Array.isArray(value)) return value.map((item) => coloured(item, style));
    if (value && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key,
        /color(scale)?$/.test(key) ? named(item, style) : coloured(item, style)]));
    }
    return value;
  }
  function named(value, style) {
    if (Array.isArray(value)) return value.map((item) => named(item, style));
    return typeof value === "string" && value.startsWith("--")
      ? style.getPropertyValue(value).trim() : value;
  }
  const PRINT_PX = 224, PRINT_HIGH_PX = 108; // three beside each other on a sheet of A4
  function draw(chart) {
    const place = document.getElementById(chart.name);
    // What is too long for a column of a sheet is not printed.
    if (printing && place.closest(".long")) { Plotly.purge(place); return; }
    const style = getComputedStyle(root);
    const pick = (name) => style.getPropertyValue(name).trim();
    const narrow = !printing && place.clientWidth < 520;
    const layout = coloured(chart.layout, style);
    const axis = { gridcolor: pick("--grid"), linecolor: pick("--faint"), zerolinecolor: pick("--grid"),
      tickcolor: pick("--faint"), automargin: true,
      separatethousands: true, exponentformat: "B", minexponent: narrow ? 3 : 6 };
    for (const name of Object.keys(layout)) {
      if (!/^[xy]axis/.test(name)) continue;
      layout[name] = { ...axis, ...layout[name] };
      if (typeof layout[name].title === "object") layout[name].title.standoff = 8;
    }
    const wide = printing ? PRINT_PX : place.clientWidth;
    // Of another width a legend has other lines; redrawn in place, it would lie over the points.
    if (place.layout && place.layout.width !== wide) Plotly.purge(place);
    const traces = coloured(chart.traces, style);
    // Beside names there is no room for numbers at the ends of bars: the table has them.
    if (narrow) traces.forEach((one) => { if (one.orientation === "h") one.textposition = "none"; });
    const lies = traces.some((one) => one.type === "bar" && one.orientation === "h");
    if (printing) traces.forEach((one) => { if (one.type === "bar" && one.orientation === "h") one.textposition = "auto"; });
    const named = traces.filter((one) => one.name && one.showlegend !== false).length;
    const legend = printing && named > 1 && layout.showlegend !== false ? 12 * named + 6 : 0;
    const names = lies ? layout.yaxis.ticktext || [] : [];
    const bars = names.reduce((sum, name) => sum + 4 + 10 * name.split("<br>").length, 0);
    const printHigh = Math.max(PRINT_HIGH_PX, 48 + bars) + legend;
    Plotly.react(place, traces, {
      margin: { l: narrow || printing ? 40 : 56, r: printing && lies ? 34 : narrow || printing ? 8 : 24, t: narrow || printing ? 8 : 34, b: printing ? 28 : 44 },
      legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom", x: 0, xanchor: "left",
        ...(printing ? { maxheight: 1, itemwidth: 30, font: { size: 7 }, xref: "container" } : {}) },
      ...layout,
      width: wide,
      height: printing ? Math.min(chart.height, printHigh) : chart.height,
      font: { family: style.fontFamily || "sans-serif", size: printing ? 8 : narrow ? 11 : 13, color: pick("--ink") },
      paper_bgcolor: pick("--panel"), plot_bgcolor: pick("--panel"),
      hoverlabel: { bgcolor: pick("--panel"), bordercolor: pick("--faint"), font: { color: pick("--ink") } },
      dragmode: narrow ? false : "zoom",
    }, { ...quick, displayModeBar: narrow ? false : "hover" });
  }
  const drawAll = () => { if (window.Plotly) data.charts.forEach(draw); };
  drawAll();
  const redraw = () => { showTheme(); drawAll(); };
  button.addEventListener("click", () => { chosen = !isDark(); redraw(); });
  system.addEventListener("change", () => { if (chosen === null) redraw(); });
  let width = window.innerWidth;
  let waiting = 0;
  window.addEventListener("resize", () => {
    if (printing || window.innerWidth === width) return;
    width = window.innerWidth;
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(drawAll);
  });

  // Print: light, charts three beside each other; afterwards as before.
  window.addEventListener("beforeprint", () => { printing = true; redraw(); });
  window.addEventListener("afterprint", () => { printing = false; redraw(); });

  if (data.rack) explore(data.rack);

  function explore(rack) {
    const svg = document.getElementById("machine");
    const detail = document.getElementById("detail");
    const hint = detail.innerHTML;
    const extra = document.getElementById("chosen-links");
    const shapes = [...svg.querySelectorAll(".chip")];
    const strokes = [...svg.querySelectorAll("#lines .link")];
    const chips = new Map((rack.chips || []).map((row) => [row[0], {
      number: row[0], node: row[1], rack: row[2], role: row[3], stage: row[4], used: row[5],
      capacity: row[6], stepMs: row[7], load: row[8], fill: row[9], x: row[10], y: row[11] }]));
    const spots = new Map([...chips.values()].map((chip) => [chip.number, [chip.x, chip.y]]));
    rack.switches.forEach((number, place) => { if (rack.switchSpots) spots.set(number, rack.switchSpots[place]); });
    const touching = new Map();
    if (rack.links) {
      rack.links[0].forEach((source, index) => {
        for (const end of [source, rack.links[1][index]]) {
          if (!touching.has(end)) touching.set(end, []);
          touching.get(end).push(index);
        }
      });
    }
    let kept = null;

    const element = (name, text, attributes) => {
      const made = document.createElement(name);
      if (text !== undefined && text !== null) made.textContent = text;
      for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
      return made;
    };
    const count = (value) => value.toLocaleString("en-US");
    const share = (value) => value === null || value === undefined ? "–"
      : value === 0 || value === 1 ? `${100 * value} %`
      : value > 0 && value < 0.001 ? "<0.1 %"
      : `${(value > 0.999 && value < 1 ? 99.9 : 100 * value).toFixed(1)} %`;
    const bytes = (value) => {
      for (const [unit, size] of [["TB", 1e12], ["GB", 1e9], ["MB", 1e6], ["kB", 1e3]]) {
        if (value >= size) return `${(value / size).toFixed(2)} ${unit}`;
      }
      return `${value} B`;
    };
    const micros = (ms) => `${Number((ms * 1000).toPrecision(4))} µs`;
    const end = (number) => chips.has(number) ? `chip ${number}`
      : rack.switches.includes(number) ? `switch ${number}` : `chip ${number}`;
    const lineEnd = (number) => number < 0 ? `switch ${-1 - number}`
      : rack.betweenNodes ? `node ${number}` : end(number);

    const sideOf = (place, words) => !place ? "" : /^kind/.test(words) ? "w" : "n";
    function tableOf(caption, headings, rows) {
      const made = element("table");
      made.append(element("caption", caption));
      const top = element("tr");
      headings.forEach((words, place) => top.append(element("th", words,
        { scope: "col", class: sideOf(place, words) })));
      const head = element("thead");
      head.append(top);
      const body = element("tbody");
      for (const row of rows) {
        const line = element("tr");
        row.forEach((cell, place) => {
          const made = element(place ? "td" : "th", null,
            place ? { class: sideOf(place, headings[place]) } : { scope: "row" });
          made.append(cell);
          line.append(made);
        });
        body.append(line);
      }
      made.append(head, body);
      return made;
    }
    function fillOf(place, capacity) {
      const row = rack.fillRows[place];
      const bar = element("div", null, { class: "bar", "aria-hidden": "true" });
      const rows = rack.fills.map((words, number) => {
        const part = element("i", null, { class: `f${number}` });
        part.style.width = `${100 * row[number] / capacity}%`;
        bar.append(part);
        const name = element("span");
        name.append(element("span", null, { class: `swatch f${number}` }), words);
        return [name, element("span", count(row[number]), { "data-fill": words }), share(row[number] / capacity)];
      });
      const tiers = [...new Set(row.slice(rack.fills.length).filter(Boolean))].join(", ");
      return [bar, tableOf(`${rack.memory} map, bytes${tiers ? ` (${tiers})` : ""}`, ["what", "bytes", "share"], rows)];
    }
    function kindWords(kinds) {
      return kinds.map(([place, vectors]) => `${rack.kinds[place][0]} ${count(vectors)}`).join(", ") || "–";
    }
    function show(parts) {
      detail.replaceChildren(...parts);
    }
    function clearExtra() {
      extra.replaceChildren();
      shapes.forEach((shape) => shape.classList.remove("chosen"));
    }

    function showChip(number) {
      const chip = chips.get(number);
      const where = `node ${chip.node}, rack ${chip.rack}`;
      const parts = [element("p", `Chip ${number}`, { class: "title" })];
      const role = chip.role === "stage" ? `stage ${chip.stage}` : rack.roles[chip.role] || chip.role;
      parts.push(element("p", `${where}; ${role}`));
      if (chip.fill !== null) {
        parts.push(element("p", `${bytes(chip.used)} of ${bytes(chip.capacity)} in use (${share(chip.used / chip.capacity)})`));
        parts.push(...fillOf(chip.fill, chip.capacity));
      } else if (chip.used) {
        parts.push(element("p", `${bytes(chip.used)} of ${bytes(chip.capacity)} in use`));
      }
      if (chip.role === "stage" && chip.load !== null) {
        parts.push(element("p", `Load: busy ${share(chip.load)} of the time`
          + (chip.stepMs ? `, ${micros(chip.stepMs)} of a step` : "")));
      }
      const pairs = new Map();
      for (const index of touching.get(number) || []) {
        const out = rack.links[0][index] === number;
        const other = rack.links[out ? 1 : 0][index];
        const profile = rack.profiles[rack.links[3][index]];
        const key = `${other} ${out}`;
        const pair = pairs.get(key) || { other, out, cables: 0, busiest: 0, payload: 0, kinds: new Map() };
        pair.cables += 1;
        pair.busiest = Math.max(pair.busiest, profile[3]);
        pair.payload += profile[1];
        for (const [kind, vectors] of profile[5]) pair.kinds.set(kind, (pair.kinds.get(kind) || 0) + vectors);
        pairs.set(key, pair);
      }
      const rows = [...pairs.values()].sort((a, b) => b.busiest - a.busiest || a.other - b.other).map((pair) => [
        `${pair.out ? "to" : "from"} ${end(pair.other)}`, share(pair.busiest), bytes(pair.payload),
        kindWords([...pair.kinds])]);
      if (rows.length) {
        parts.push(tableOf(`Its links${rack.profiles.some((p) => p[5].length) ? ", vectors of a step by kind" : ""}`,
          ["link", "busy", "sent", "kind"], rows));
      }
      show(parts);
      clearExtra();
      svg.querySelector(`[data-chip="${number}"]`).classList.add("chosen");
      const drawn = new Map();
      for (const index of touching.get(number) || []) {
        const other = rack.links[rack.links[0][index] === number ? 1 : 0][index];
        const profile = rack.profiles[rack.links[3][index]];
        const best = drawn.get(other);
        if (!best || best[3] < profile[3]) drawn.set(other, profile);
      }
      for (const [other, profile] of drawn) {
        if (!spots.has(other)) continue;
        const stroke = document.createElementNS("http://www.w3.org/2000/svg", "line");
        const [x1, y1] = spots.get(number);
        const [x2, y2] = spots.get(other);
        for (const [key, value] of Object.entries({ x1, y1, x2, y2 })) stroke.setAttribute(key, value);
        stroke.setAttribute("class", profile[1] ? `link k${profile[4]}` : "link unused");
        stroke.addEventListener("pointerenter", () => showLink(number, other));
        extra.append(stroke);
      }
    }
    function showLink(first, second) {
      const rows = [];
      (touching.get(first) || []).forEach((index) => {
        const [source, target] = [rack.links[0][index], rack.links[1][index]];
        if (source !== second && target !== second) return;
        const profile = rack.profiles[rack.links[3][index]];
        rows.push([`${source} → ${target}, cable ${rack.links[2][index]}`, share(profile[3]), bytes(profile[1]),
          kindWords(profile[5])]);
      });
      show([element("p", `Links: ${end(first)} – ${end(second)}`, { class: "title" }),
        tableOf("Each direction of each cable", ["from → to", "busy", "sent", "kind: vectors of a step"], rows)]);
    }
    function showLine(number) {
      const [first, second, ...flows] = rack.lines[number];
      const parts = [element("p", `Links: ${lineEnd(first)} – ${lineEnd(second)}`, { class: "title" })];
      flows.forEach(([links, busy, payload, busiest, kinds], place) => {
        const [from, to] = place ? [second, first] : [first, second];
        parts.push(element("p", `${lineEnd(from)} → ${lineEnd(to)}: ${busy} of ${links} cables in use, busiest `
          + `${share(busiest)} of the time, ${bytes(payload)} sent.`));
        if (kinds.length) {
          parts.push(tableOf("Vectors of a step, by kind", ["kind", "vectors"],
            kinds.map(([kind, vectors]) => [`${rack.kinds[kind][0]}: ${rack.kinds[kind][1]}`, count(vectors)])));
        }
      });
      show(parts);
      clearExtra();
    }
    function showNode(place) {
      const [range, role, stages, fullest, used, capacity, fill, load, stepMs] = rack.nodeRows[place];
      const parts = [element("p", `Node ${rack.nodes[place][0]}`, { class: "title" }),
        element("p", `rack ${rack.nodes[place][1]}; chips ${range}; ${stages ? `stage ${stages}` : rack.roles[role] || role}`)];
      if (used) {
        parts.push(element("p", `Fullest, chip ${fullest}: ${bytes(used)} of ${bytes(capacity)} in use (${share(used / capacity)})`));
        if (fill !== null) parts.push(...fillOf(fill, capacity));
        parts.push(element("p", `Busiest chip: ${share(load)} of the time` + (stepMs ? `, ${micros(stepMs)} of a step` : "")));
      }
      const rows = [];
      rack.lines.forEach(([first, second, there, back]) => {
        if (first !== rack.nodes[place][0] && second !== rack.nodes[place][0]) return;
        const out = first === rack.nodes[place][0];
        const other = lineEnd(out ? second : first);
        for (const [words, flow] of [[`to ${other}`, out ? there : back], [`from ${other}`, out ? back : there]]) {
          if (flow[2]) rows.push([words, share(flow[3]), bytes(flow[2]), kindWords(flow[4])]);
        }
      });
      if (rows.length) parts.push(tableOf("Its links in use", ["link", "busy", "sent", "kind: vectors"], rows));
      show(parts);
      clearExtra();
      shapes[place].classList.add("chosen");
    }
    const showShape = (shape) => rack.byNode
      ? showNode(Number(shape.dataset.chip)) : showChip(Number(shape.dataset.chip));
    const showAny = (shape) => shape.classList.contains("chip")
      ? showShape(shape) : showLine(Number(shape.dataset.line));

    // One stop of Tab for the chips and one for the lines; arrow keys go on from there.
    function wander(list, nearest) {
      if (!list.length) return;
      list.forEach((shape, place) => {
        shape.setAttribute("tabindex", place ? "-1" : "0");
        shape.setAttribute("role", "button");
        shape.setAttribute("aria-label", shape.querySelector("title").textContent);
        shape.addEventListener("focus", () => { kept = null; showAny(shape); });
        shape.addEventListener("pointerenter", () => { if (!kept) showAny(shape); });
        shape.addEventListener("click", () => { kept = shape; go(list, shape); showAny(shape); });
        shape.addEventListener("keydown", (event) => {
          const way = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
          let next = null;
          if (way) next = nearest(shape, way);
          else if (event.key === "Home") next = list[0];
          else if (event.key === "End") next = list[list.length - 1];
          else if (event.key === "Enter" || event.key === " ") kept = shape;
          else if (event.key === "Escape") { kept = null; clearExtra(); detail.innerHTML = hint; } else return;
          event.preventDefault();
          if (next) { go(list, next); next.focus(); }
        });
      });
    }
    function go(list, shape) {
      list.forEach((one) => one.setAttribute("tabindex", one === shape ? "0" : "-1"));
    }
    const centre = (shape) => {
      const number = (name) => Number(shape.getAttribute(name));
      return [number("x") + number("width") / 2, number("y") + number("height") / 2];
    };
    const centres = new Map(shapes.map((shape) => [shape, centre(shape)]));
    wander(shapes, (shape, [dx, dy]) => {
      const [x, y] = centres.get(shape);
      let best = null;
      let least = Infinity;
      for (const [other, [ox, oy]] of centres) {
        const along = (ox - x) * dx + (oy - y) * dy;
        const aside = Math.abs((ox - x) * dy) + Math.abs((oy - y) * dx);
        if (other === shape || along <= 0.5 || aside > 2 * along) continue;
        if (along + 2 * aside < least) { least = along + 2 * aside; best = other; }
      }
      return best;
    });
    wander(strokes, (shape, [dx, dy]) => {
      const place = strokes.indexOf(shape) + (dx + dy);
      return strokes[place] || null;
    });
    svg.addEventListener("pointerdown", (event) => {
      if (event.target.closest(".chip, .link")) return;
      kept = null;
      clearExtra();
    });
  }
})();
