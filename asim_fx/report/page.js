"use strict";
(() => {
  const { sites, shared } = JSON.parse(document.getElementById("report-data").textContent);
  for (const [field, values] of Object.entries(shared)) {
    for (const site of sites) site[field] = values[site[field]];
  }
  const table = document.getElementById("site-table");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const indexOf = (row) => Number(row.dataset.index);
  const collator = new Intl.Collator("en", { numeric: true });

  /** Build an element; text is always text, never markup. */
  function el(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children.map((child) => (child instanceof Node ? child : String(child))));
    return node;
  }

  // Sorting ---------------------------------------------------------------------------------------
  function compare(a, b) {
    return typeof a === "number" && typeof b === "number" ? a - b : collator.compare(String(a), String(b));
  }
  function valueOf(row, key) {
    const site = sites[indexOf(row)];
    return key === "index" ? indexOf(row) : key === "reads" && site.target !== "analog" ? null : site[key];
  }
  function sortBy(header) {
    const key = header.dataset.key;
    const was = header.getAttribute("aria-sort");
    // Figures are read from the largest down, names from A to Z.
    const first = header.classList.contains("num") && key !== "index" ? "descending" : "ascending";
    const order = was === null ? first : was === "ascending" ? "descending" : "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    rows.sort((one, two) => {
      const a = valueOf(one, key), b = valueOf(two, key);
      if (a === null || b === null) return (a === null) - (b === null) || indexOf(one) - indexOf(two);
      return sign * compare(a, b) || indexOf(one) - indexOf(two);
    });
    body.append(...rows);
  }
  for (const header of table.tHead.rows[0].cells) header.querySelector("button").onclick = () => sortBy(header);

  // Searching and filtering -----------------------------------------------------------------------
  const search = document.getElementById("search");
  const chips = [...document.querySelectorAll(".chip")];
  const haystacks = sites.map((s) => [s.name, s.kind, s.target, s.reason, s.why, ...s.notes].join("\n").toLowerCase());
  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = { target: new Set(), kind: new Set() };
    for (const chip of chips) {
      if (chip.getAttribute("aria-pressed") === "true") wanted[chip.dataset.field].add(chip.dataset.value);
    }
    let shown = 0;
    for (const row of rows) {
      const site = sites[indexOf(row)];
      const fits = Object.entries(wanted).every(([field, set]) => !set.size || set.has(site[field]));
      row.hidden = !(fits && words.every((word) => haystacks[indexOf(row)].includes(word)));
      shown += !row.hidden;
    }
    document.getElementById("shown").textContent =
      shown === sites.length ? `${shown} sites` : `${shown} of ${sites.length} sites`;
  }
  search.oninput = filter;
  for (const chip of chips) {
    chip.onclick = () => {
      chip.setAttribute("aria-pressed", String(chip.getAttribute("aria-pressed") !== "true"));
      filter();
    };
  }
  document.querySelector(".controls").hidden = false;
  filter();

  // The panel of one site -------------------------------------------------------------------------
  const dialog = document.getElementById("detail");
  const GROUPS = {
    Operation: ["kind", "op", "calls", "geometry", "input_shape", "weight_shape", "output_shape", "k", "n", "groups",
      "vectors", "macs", "weights"],
    Decision: ["target", "reason", "decided_by", "why", "signed", "signed_because", "weight_signed", "weight_bits",
      "input_bits", "input_encoding", "scale"],
    Array: ["macro", "rows", "columns", "adc_bits", "row_tiles", "column_tiles", "utilisation", "cycles",
      "cells_digital", "cells_voted", "cells_analog", "vote", "reads"],
    "Cost of one image": ["energy_j", "energy_low_j", "energy_high_j", "tops_per_w", "setup_energy_j", "latency_s",
      "latency_low_s", "latency_high_s", "arrays", "area_mm2", "adc_area_mm2"],
  };
  const DRAWN = ["name", "notes", "settings", "provenance", "reads_per_cell", "energy_parts_j", "cost_models"];
  const LABELS = {
    op: "operation", k: "K (reduction)", n: "N (outputs)", macs: "MACs", geometry: "window", weights: "stored weights",
    input_shape: "input", weight_shape: "stored operand", output_shape: "output", signed: "input signed",
    signed_because: "because", why: "in the rule's words", adc_bits: "ADC bits", cycles: "cycles (cells)",
    reads: "ADC conversions", energy_j: "energy", energy_low_j: "energy at least", energy_high_j: "energy at most",
    tops_per_w: "TOPS/W", setup_energy_j: "writing weights, once", latency_s: "latency", latency_low_s: "latency at least",
    latency_high_s: "latency at most", area_mm2: "area, mm²", adc_area_mm2: "area of converters, mm²",
  };
  function quantity(value, unit) {
    const place = value === 0 ? 0 : Math.min(6, Math.max(0, Math.ceil(-Math.log10(value) / 3)));
    return `${Number((value * 1000 ** place).toPrecision(3)).toLocaleString("en")} ${["", "m", "µ", "n", "p", "f", "a"][place]}${unit}`;
  }
  function words(key, value) {
    if (value === null || value === "") return null;
    if (key.endsWith("_shape")) return value.map((size) => size ?? "N").join(" × ");
    if (key === "utilisation") return `${(100 * value).toFixed(1)} %`;
    if (/_(j|s)$/.test(key)) return quantity(value, key.endsWith("_j") ? "J" : "s");
    if (typeof value === "boolean") return value ? "yes" : "no";
    return typeof value === "number" ? value.toLocaleString("en") : String(value);
  }
  function pairs(site, keys) {
    const list = el("dl", { class: "pairs" });
    for (const key of keys) {
      const value = words(key, site[key]);
      if (value !== null) list.append(el("dt", {}, LABELS[key] ?? key.replaceAll("_", " ")), el("dd", { "data-field": key }, value));
    }
    return list;
  }
  /** The drawing of the page, once more: its cells are the same symbols. */
  function drawPlan(index) {
    const number = document.querySelector(`#site-${index} .plan-cell`).dataset.plan;
    return document.querySelector(`#plan-figure-${number} .plan`).cloneNode(true);
  }
  /** A field's origin is its own, or that of the nearest part of the spec above it. */
  function origin(provenance, field) {
    for (let name = field; name; name = name.includes(".") ? name.slice(0, name.lastIndexOf(".")) : "") {
      if (name in provenance) return provenance[name];
    }
    return "";
  }
  function settingsTable(site) {
    const fields = [...new Set([...Object.keys(site.settings), ...Object.keys(site.provenance)])];
    const lines = fields.map((field) => el("tr", {}, el("td", {}, field),
      el("td", {}, site.settings[field] ?? ""), el("td", { class: "quiet" }, origin(site.provenance, field))));
    const head = el("tr", {}, ...["field", "value", "from"].map((name) => el("th", { scope: "col" }, name)));
    return el("table", {}, el("thead", {}, head), el("tbody", {}, ...lines));
  }
  let current = 0;
  function open(index) {
    current = index;
    const site = sites[index];
    const parts = [el("h2", { id: "detail-name" }, site.name),
      el("p", {}, el("span", { class: `target ${site.target}` }, site.target), ` ${site.kind}`, site.reason ? `: ${site.reason}` : "")];
    if (site.notes.length) parts.push(el("ul", { class: "notes" }, ...site.notes.map((note) => el("li", {}, note))));
    if (site.reads_per_cell) parts.push(el("h3", {}, "Bit plan"), drawPlan(index));
    const known = new Set([...DRAWN, ...Object.values(GROUPS).flat()]);
    const groups = { ...GROUPS, Other: Object.keys(site).filter((key) => !known.has(key)) };
    for (const [title, keys] of Object.entries(groups)) {
      const list = pairs(site, keys);
      if (list.childElementCount) parts.push(el("h3", {}, title), list);
    }
    if (Object.keys(site.provenance).length) parts.push(el("h3", {}, "Settings, and where they come from"), settingsTable(site));
    document.getElementById("detail-body").replaceChildren(...parts);
    if (!dialog.open) dialog.showModal();
    dialog.scrollTop = 0;
  }
  function step(by) {
    const order = rows.filter((row) => !row.hidden).map(indexOf);
    const next = order[order.indexOf(current) + by];
    if (next !== undefined) open(next);
  }
  document.getElementById("previous").onclick = () => step(-1);
  document.getElementById("next").onclick = () => step(1);
  document.getElementById("close").onclick = () => dialog.close();
  dialog.onclick = (event) => event.target === dialog && dialog.close();
  dialog.onclose = () => body.querySelector(`[data-index="${current}"] .open`)?.focus();
  body.onclick = (event) => {
    const row = event.target.closest("tr");
    if (row && !String(getSelection())) open(indexOf(row));
  };

  // A name in a drawing leads to its row, even one that the filters hide.
  function reveal(link) {
    const row = document.getElementById(link.getAttribute("href").slice(1));
    if (row.hidden) {
      search.value = "";
      for (const chip of chips) chip.setAttribute("aria-pressed", "false");
      filter();
    }
    for (const other of rows) other.classList.toggle("found", other === row);
    row.scrollIntoView({ block: "center" });
    row.querySelector(".open").focus({ preventScroll: true });
  }
  document.querySelector("main").addEventListener("click", (event) => {
    const link = event.target.closest(".bars a, .gantt a");
    if (!link) return;
    event.preventDefault();
    reveal(link);
  });

  // The dataflow: scrolls, drags, zooms; a box leads to its row ----------------------------------------
  const canvas = document.querySelector(".canvas");
  if (!canvas) return;
  const drawing = canvas.querySelector("svg");
  const { width, height } = drawing.viewBox.baseVal;
  let scale = 1;
  function zoom(to, x = canvas.clientWidth / 2, y = canvas.clientHeight / 2) {
    const before = drawing.getBoundingClientRect(), frame = canvas.getBoundingClientRect();
    const u = (frame.left + x - before.left) / scale, v = (frame.top + y - before.top) / scale;
    scale = Math.min(3, Math.max(0.05, to));
    drawing.setAttribute("width", width * scale);
    drawing.setAttribute("height", height * scale);
    const after = drawing.getBoundingClientRect();
    canvas.scrollLeft += after.left + u * scale - (frame.left + x);
    canvas.scrollTop += after.top + v * scale - (frame.top + y);
  }
  const fitWidth = () => zoom(Math.min(1, (canvas.clientWidth - 2) / width));
  const actions = {
    in: () => zoom(scale * 1.25), out: () => zoom(scale / 1.25), width: fitWidth,
    all: () => zoom(Math.min(canvas.clientWidth / width, canvas.clientHeight / height)),
  };
  for (const button of document.querySelectorAll(".zoom button")) button.onclick = actions[button.dataset.zoom];
  document.querySelector(".zoom").hidden = false;
  fitWidth();
  canvas.scrollLeft = (canvas.scrollWidth - canvas.clientWidth) / 2;
  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) return; // a plain wheel scrolls
    event.preventDefault();
    const frame = canvas.getBoundingClientRect();
    zoom(scale * Math.exp(-event.deltaY / 400), event.clientX - frame.left, event.clientY - frame.top);
  }, { passive: false });
  let drag = null, moved = false;
  canvas.onpointerdown = (event) => {
    moved = false;
    if (event.pointerType === "mouse" && event.button === 0) drag = [event.clientX, event.clientY];
  };
  addEventListener("pointermove", (event) => {
    if (!drag) return;
    const dx = event.clientX - drag[0], dy = event.clientY - drag[1];
    moved ||= Math.hypot(dx, dy) > 4;
    if (!moved) return;
    canvas.classList.add("dragging");
    canvas.scrollBy(-dx, -dy);
    drag = [event.clientX, event.clientY];
  });
  addEventListener("pointerup", () => { drag = null; canvas.classList.remove("dragging"); });
  canvas.ondragstart = () => false;
  canvas.onclick = (event) => {
    const link = event.target.closest("a");
    if (!link) return;
    event.preventDefault();
    if (moved) return;
    reveal(link);
  };
})();
