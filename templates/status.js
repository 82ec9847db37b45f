"use strict";
(() => {
  const table = document.querySelector("table");
  const projects = [...table.tBodies];
  const headers = [...table.tHead.rows[0].cells];
  let texts = null;

  // The view is in the fragment of the URL, so that it can be shared, and is kept when the page is loaded again.
  const view = { q: "", state: "", sort: "", group: "", all: "" };
  const read = () => {
    const parameters = new URLSearchParams(location.hash.slice(1));
    for (const name of Object.keys(view)) view[name] = parameters.get(name) ?? "";
  };
  const write = () => {
    const parameters = new URLSearchParams(Object.entries(view).filter(([, value]) => value));
    try { history.replaceState(null, "", `#${parameters}`); } catch { /* the URL cannot be changed in this place */ }
  };

  // Sorting: by the column, then by name. Unknown values come last in both orders.
  const collator = new Intl.Collator("en", { numeric: true });
  const columns = headers.map((header) => header.textContent.trim().toLowerCase().replace(" ", "-"));
  const key = (project, column) => {
    const { dataset, textContent } = project.rows[0].cells[column];
    return dataset.key ?? textContent.trim();
  };
  const names = new Map(projects.map((project) => [project, project.rows[0].cells[0].firstChild.textContent.trim()]));
  const byName = (a, b) => collator.compare(names.get(a), names.get(b));
  const sorted = () => {
    const descending = view.sort.startsWith("-");
    const column = columns.indexOf(view.sort.replace(/^-/, ""));
    headers.forEach((header) => header.removeAttribute("aria-sort"));
    // Without a column, the order is that of the document: by state.
    headers[column < 0 ? 1 : column].setAttribute("aria-sort", descending ? "descending" : "ascending");
    if (column < 0) return projects;
    const sign = descending ? -1 : 1;
    const keys = new Map(projects.map((project) => [project, column === 0 ? names.get(project) : key(project, column)]));
    const compare = (a, b) => {
      const [x, y] = [keys.get(a), keys.get(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      return sign * collator.compare(x, y);
    };
    return [...projects].sort((a, b) => compare(a, b) || byName(a, b));
  };

  // Groups: a heading above the projects of each directory.
  const directories = [...new Set(projects.map((project) => project.dataset.directory))].sort(collator.compare);
  const headings = new Map(directories.map((directory) => {
    const heading = document.createElement("tbody");
    heading.className = "group";
    const cell = document.createElement("th");
    cell.colSpan = headers.length;
    cell.scope = "rowgroup";
    cell.textContent = directory ? `${directory}/` : "./";
    heading.append(document.createElement("tr"));
    heading.rows[0].append(cell);
    return [directory, heading];
  }));

  // Projects that are up to date are folded, unless a filter selects them.
  const fold = document.createElement("tbody");
  fold.className = "fold";
  const unfold = document.createElement("button");
  unfold.type = "button";
  fold.insertRow().insertCell().append(unfold);
  fold.rows[0].cells[0].colSpan = headers.length;
  const isFoldable = (project) => project.dataset.state === "up-to-date";
  const foldable = projects.filter(isFoldable).length;

  let isArranged = false;
  const arrange = () => {
    const order = sorted();
    // The document is already in this order, and moving 500 projects takes time.
    if (!isArranged && order === projects && !view.group) {
      table.append(fold);
      return;
    }
    isArranged = true;
    headings.forEach((heading) => heading.remove());
    if (view.group) {
      for (const [directory, heading] of headings) {
        table.append(heading, ...order.filter((project) => project.dataset.directory === directory));
      }
    } else {
      table.append(...order);
    }
    table.append(fold);
  };

  // Filtering: by text, where every word must occur, and by one state.
  const filter = document.getElementById("filter");
  const group = document.getElementById("group");
  const shown = document.getElementById("shown");
  const tiles = [...document.querySelectorAll(".totals button")];
  const select = () => {
    const wanted = view.q.toLowerCase().split(/\s+/).filter(Boolean);
    if (wanted.length > 0) texts ??= projects.map((project) => project.textContent.toLowerCase());
    const isFiltered = wanted.length > 0 || view.state !== "";
    const isFolded = !isFiltered && !view.all;
    const counts = new Map(directories.map((directory) => [directory, 0]));
    let count = 0;
    projects.forEach((project, number) => {
      const fits = !view.state || project.dataset.state === view.state;
      const matches = fits && wanted.every((word) => texts[number].includes(word));
      project.hidden = !matches || (isFolded && isFoldable(project));
      count += matches ? 1 : 0;
      counts.set(project.dataset.directory, counts.get(project.dataset.directory) + (project.hidden ? 0 : 1));
    });
    headings.forEach((heading, directory) => { heading.hidden = counts.get(directory) === 0; });
    shown.textContent = isFiltered ? `${count} of ${projects.length} shown` : "";
    document.getElementById("none").hidden = count > 0;
    fold.hidden = isFiltered || foldable === 0;
    unfold.setAttribute("aria-expanded", String(!isFolded));
    const subject = foldable === 1 ? "1 project that is up to date" : `${foldable} projects that are up to date`;
    unfold.textContent = `${isFolded ? "Show" : "Hide"} ${subject}`;
    tiles.forEach((tile) => tile.setAttribute("aria-pressed", String(tile.dataset.state === view.state)));
    group.setAttribute("aria-pressed", String(view.group !== ""));
  };
  const change = (changes) => {
    Object.assign(view, changes);
    if ("sort" in changes || "group" in changes) arrange();
    select();
    write();
  };
  const restore = () => {
    read();
    filter.value = view.q;
    arrange();
    select();
  };

  headers.forEach((header, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    // The first click on a number shows the largest first.
    const first = header.classList.contains("number") ? "-" : "";
    button.addEventListener("click", () => {
      const now = header.getAttribute("aria-sort");
      const sign = now ? (now === "ascending" ? "-" : "") : first;
      change({ sort: sign + columns[column] });
    });
  });
  tiles.forEach((tile) => {
    tile.disabled = false;
    tile.addEventListener("click", () => change({ state: view.state === tile.dataset.state ? "" : tile.dataset.state }));
  });
  filter.addEventListener("input", () => change({ q: filter.value }));
  group.addEventListener("click", () => change({ group: view.group ? "" : "1" }));
  unfold.addEventListener("click", () => change({ all: view.all ? "" : "1" }));
  window.addEventListener("hashchange", restore);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && document.activeElement !== filter) {
      event.preventDefault();
      filter.focus();
    }
    if (event.key === "Escape" && document.activeElement === filter) {
      filter.value = "";
      change({ q: "" });
    }
  });

  // The number of added, modified or deleted files opens the list of these files.
  projects.forEach((project) => {
    const files = project.querySelector(".files");
    if (!files) return;
    for (const kind of ["added", "modified", "deleted"]) {
      const cell = project.querySelector(`td.${kind}:not(.zero)`);
      if (!cell || !files.querySelector(`.${kind}`)) continue;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...cell.childNodes);
      button.setAttribute("aria-label", `${button.textContent} ${kind}: show the files`);
      cell.append(button);
      button.addEventListener("click", () => {
        const closes = files.open && files.dataset.only === kind;
        files.open = !closes;
        files.dataset.only = closes ? "" : kind;
      });
    }
    files.querySelector("summary").addEventListener("click", () => { files.dataset.only = ""; });
  });

  group.hidden = directories.length < 2;
  filter.parentElement.hidden = false;
  restore();

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
