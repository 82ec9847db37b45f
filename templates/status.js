"use strict";
(() => {
  const table = document.querySelector("table");
  const projects = [...table.tBodies];
  const headers = [...table.tHead.rows[0].cells];
  const texts = projects.map((project) => project.textContent.toLowerCase());

  // Sorting: by the column, then by name. Unknown values come last in both orders.
  const collator = new Intl.Collator("en", { numeric: true });
  const cell = (project, column) => project.rows[0].cells[column];
  const key = (project, column) => {
    const { dataset, textContent } = cell(project, column);
    return dataset.key ?? textContent.trim();
  };
  const names = new Map(projects.map((project) => [project, key(project, 0)]));
  const sort = (column, descending) => {
    const sign = descending ? -1 : 1;
    const keys = new Map(projects.map((project) => [project, key(project, column)]));
    const compare = (a, b) => {
      const [x, y] = [keys.get(a), keys.get(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      return sign * collator.compare(x, y);
    };
    const byName = (a, b) => collator.compare(names.get(a), names.get(b));
    table.append(...[...projects].sort((a, b) => compare(a, b) || byName(a, b)));
    headers.forEach((header) => header.removeAttribute("aria-sort"));
    headers[column].setAttribute("aria-sort", descending ? "descending" : "ascending");
  };
  headers.forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    // The first click on a number shows the largest first.
    const first = header.classList.contains("number") ? "descending" : "ascending";
    button.addEventListener("click", () => {
      const now = header.getAttribute("aria-sort");
      sort(column, (now ? (now === "ascending" ? "descending" : "ascending") : first) === "descending");
    });
  });
  headers[1].setAttribute("aria-sort", "ascending");

  // Filtering: by text, where every word must occur, and by one state.
  const filter = document.getElementById("filter");
  const shown = document.getElementById("shown");
  const tiles = [...document.querySelectorAll(".totals button")];
  let state = "";
  const apply = () => {
    const wanted = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    projects.forEach((project, number) => {
      const fits = !state || project.dataset.state === state;
      project.hidden = !(fits && wanted.every((word) => texts[number].includes(word)));
      count += project.hidden ? 0 : 1;
    });
    shown.textContent = count === projects.length ? "" : `${count} of ${projects.length} shown`;
    document.getElementById("none").hidden = count > 0;
    tiles.forEach((tile) => tile.setAttribute("aria-pressed", String(tile.dataset.state === state)));
  };
  tiles.forEach((tile) => {
    tile.disabled = false;
    tile.addEventListener("click", () => {
      state = state === tile.dataset.state ? "" : tile.dataset.state;
      apply();
    });
  });
  filter.addEventListener("input", apply);
  filter.parentElement.hidden = false;
  apply();

  // Ages are relative to the time of reading, not to the time when the page was generated.
  const units = [["year", 31557600], ["month", 2629800], ["day", 86400], ["hour", 3600], ["minute", 60]];
  const relative = new Intl.RelativeTimeFormat("en");
  const updateAges = () => {
    document.querySelectorAll(".ago").forEach((ago) => {
      const seconds = (new Date(ago.parentElement.querySelector("time").dateTime) - Date.now()) / 1000;
      const [unit, size] = units.find((unit) => Math.abs(seconds) >= unit[1]) ?? [];
      ago.textContent = unit ? relative.format(Math.trunc(seconds / size), unit) : "just now";
    });
  };
  updateAges();
  setInterval(updateAges, 60000);

  // The theme: that of the system, unless the reader chose another. Without storage, the choice is lost on reload.
  const themes = ["auto", "light", "dark"];
  const button = document.getElementById("theme");
  const use = (theme) => {
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = `Theme: ${theme}`;
    try { localStorage.setItem("fractary-codex-theme", theme); } catch { /* storage is disabled */ }
  };
  let kept = null;
  try { kept = localStorage.getItem("fractary-codex-theme"); } catch { /* storage is disabled */ }
  let theme = themes.includes(kept) ? kept : "auto";
  use(theme);
  button.addEventListener("click", () => use(theme = themes[(themes.indexOf(theme) + 1) % themes.length]));
  button.hidden = false;
})();
