document.documentElement.classList.add("js");
for (const history of document.querySelectorAll(".history")) {
  const slider = history.querySelector("input");
  const figures = [...history.querySelectorAll("figure")];
  slider?.addEventListener("input", () => {
    figures.forEach((figure, i) => figure.classList.toggle("shown", i === Number(slider.value)));
    history.querySelector("output").value = figures[slider.value].querySelector("figcaption").textContent;
  });
}
for (const table of document.querySelectorAll(".sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.firstElementChild.addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const numeric = [...table.tBodies[0].rows].some((row) => "value" in row.cells[column].dataset);
    const key = (row) => numeric ? parseFloat(row.cells[column].dataset.value) : row.cells[column].textContent;
    const order = (a, b) => {
      const x = key(a), y = key(b);
      if (numeric) return Number.isNaN(x) - Number.isNaN(y) || (up ? x - y : y - x) || 0;
      return x.localeCompare(y, undefined, { numeric: true }) * (up ? 1 : -1);
    };
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort(order));
  }));
}
