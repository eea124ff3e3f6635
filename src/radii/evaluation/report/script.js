"use strict";
(() => {
  const key = (row, at) => {
    const cell = row.cells[at];
    const value = cell.dataset.sort ?? cell.textContent.trim();
    return value === "inf" ? Infinity : cell.dataset.sort === undefined ? value : Number(value);
  };
  const compare = (a, b) => {
    if (typeof a === "number" && typeof b === "number") return a - b;
    return String(a).localeCompare(String(b), undefined, { numeric: true });
  };

  for (const table of document.querySelectorAll("table.sortable")) {
    const body = table.tBodies[0];
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, at) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const rows = [...body.rows];
        const now = head.getAttribute("aria-sort");
        const numbers = rows.some((row) => typeof key(row, at) === "number");
        const down = now ? now === "ascending" : numbers;
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        rows.sort((a, b) => (down ? -1 : 1) * compare(key(a, at), key(b, at)));
        body.append(...rows);
      });
    });
  }

  const most = 8;
  for (const plot of document.querySelectorAll("[data-readings]")) {
    const { end, radii, curves } = JSON.parse(plot.dataset.readings);
    const probe = document.createElement("div");
    const line = document.createElement("i");
    const tip = document.createElement("div");
    let at = 0;
    probe.className = "probe";
    probe.tabIndex = 0;
    probe.setAttribute("role", "slider");
    probe.setAttribute("aria-label", "Radius at which the curves are read");
    probe.setAttribute("aria-valuemin", "0");
    probe.setAttribute("aria-valuemax", radii[radii.length - 1]);
    tip.className = "tip";
    tip.hidden = true;
    line.hidden = true;
    probe.append(line, tip);
    plot.append(probe);

    const percent = (tenths) => (tenths / 10).toFixed(1);
    const said = (curve) => {
      const ends = curve.lower ? ` [${percent(curve.lower[at])}, ${percent(curve.upper[at])}]` : "";
      return `${percent(curve.value[at])} %${ends}`;
    };
    const hide = () => {
      tip.hidden = line.hidden = true;
    };
    const show = (next, height) => {
      at = Math.max(0, Math.min(radii.length - 1, next));
      let near = curves.filter((curve) => curve.value[at] !== null);
      const left = near.length - most;
      if (left > 0) {
        const far = (curve) => Math.abs(curve.value[at] - height);
        near = [...near].sort((a, b) => far(a) - far(b)).slice(0, most);
      }
      tip.replaceChildren();
      const head = document.createElement("b");
      head.textContent = `radius ${radii[at]}`;
      tip.append(head);
      for (const curve of near) {
        const row = document.createElement("p");
        const mark = document.createElement("span");
        mark.className = "swatch";
        mark.style.setProperty("--swatch", curve.colour);
        const value = document.createElement("strong");
        value.textContent = said(curve);
        row.append(mark, value, ` ${curve.name}`);
        tip.append(row);
      }
      if (left > 0) tip.append(`and ${left} more curves`);
      tip.hidden = line.hidden = false;
      const place = Number(radii[at]) / end;
      line.style.left = `${100 * place}%`;
      tip.style.left = place < 0.5 ? `calc(${100 * place}% + 10px)` : "auto";
      tip.style.right = place < 0.5 ? "auto" : `calc(${100 * (1 - place)}% + 10px)`;
      const texts = near.map((curve) => `${curve.name}: ${said(curve)}`);
      probe.setAttribute("aria-valuenow", radii[at]);
      probe.setAttribute("aria-valuetext", [`radius ${radii[at]}`, ...texts].join("; "));
    };
    const moved = (event) => {
      const box = probe.getBoundingClientRect();
      const share = (event.clientX - box.left) / box.width;
      show(Math.round((share * end) / Number(radii[1] ?? 1)), 1000 * (1 - (event.clientY - box.top) / box.height));
    };
    const jumps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10 };
    probe.addEventListener("pointermove", moved);
    probe.addEventListener("pointerdown", moved);
    probe.addEventListener("pointerleave", () => document.activeElement === probe || hide());
    probe.addEventListener("focus", () => show(at, 1000));
    probe.addEventListener("blur", hide);
    probe.addEventListener("keydown", (event) => {
      if (event.key in jumps) show(at + jumps[event.key], 1000);
      else if (event.key === "Home") show(0, 1000);
      else if (event.key === "End") show(radii.length - 1, 1000);
      else if (event.key === "Escape") return hide();
      else return undefined;
      event.preventDefault();
      return undefined;
    });
    probe.setAttribute("aria-valuenow", "0");
  }

  const filters = [...document.querySelectorAll("[data-filter]")];
  if (filters.length) {
    const count = document.querySelector("[data-count]");
    const apply = () => {
      let all = 0;
      let shown = 0;
      for (const row of document.querySelectorAll("tr[data-search]")) {
        row.hidden = !filters.every(({ dataset, value }) =>
          dataset.filter === "search"
            ? value.toLowerCase().split(/\s+/).every((word) => row.dataset.search.includes(word))
            : value === "" || row.dataset[dataset.filter] === value,
        );
        all += 1;
        shown += row.hidden ? 0 : 1;
      }
      count.textContent = `${shown} of ${all} runs`;
    };
    filters.forEach((filter) => filter.addEventListener("input", apply));
    apply();
  }
})();
