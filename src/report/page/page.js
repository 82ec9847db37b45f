"use strict";
const table = document.getElementById("projects");
const body = table.tBodies[0];
const heads = [...table.tHead.rows[0].cells];
const search = document.getElementById("search");
const states = [...document.querySelectorAll("[data-state][aria-pressed]")];

heads.forEach((head, column) => {
  head.querySelector("button").addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach((other) => other.setAttribute("aria-sort", "none"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const numeric = head.dataset.kind === "number";
    const rows = [...body.rows].map((row) => [row.cells[column].dataset.sort, row]);
    rows.sort(([a], [b]) => (numeric ? a - b : a.localeCompare(b)) * (up ? 1 : -1));
    body.append(...rows.map(([, row]) => row));
  });
});

function show() {
  const text = search.value.trim().toLowerCase();
  const wanted = states.filter((state) => state.getAttribute("aria-pressed") === "true").map((state) => state.dataset.state);
  let shown = 0;
  for (const row of body.rows) {
    const fits = row.cells[0].dataset.sort.toLowerCase().includes(text);
    row.hidden = !fits || (wanted.length > 0 && !wanted.includes(row.dataset.state));
    shown += row.hidden ? 0 : 1;
  }
  document.getElementById("nothing").hidden = shown > 0 || body.rows.length === 0;
}

search.addEventListener("input", show);
for (const state of states) {
  state.addEventListener("click", () => {
    state.setAttribute("aria-pressed", state.getAttribute("aria-pressed") === "true" ? "false" : "true");
    show();
  });
}

const units = [["year", 31557600], ["month", 2629800], ["day", 86400], ["hour", 3600], ["minute", 60]];
const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
for (const time of document.querySelectorAll("time")) {
  const seconds = (Date.parse(time.dateTime) - Date.now()) / 1000;
  const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) ?? ["minute", 60];
  const ago = document.createElement("span");
  ago.className = "ago";
  ago.textContent = ` (${words.format(Math.round(seconds / size), unit)})`;
  time.append(ago);
}
