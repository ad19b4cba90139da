"use strict";
/** The table of camera labels: the share of all videos and of kept videos that have each. */
const labelTable = (() => {
  const { byId, make } = dom;

  function makeRow(name, total, scored, largest) {
    const all = make("i", { className: "all" });
    const kept = make("i", { className: "kept" });
    const keptCell = make("td", { dataset: { labelKept: name } });
    all.style.width = `${(100 * total) / largest}%`;
    const row = make("tr", {}, make("th", { textContent: name, scope: "row" }),
      make("td", { className: "bar" }, make("div", {}, all, kept)),
      make("td", { textContent: format.percent(total, scored) }), keptCell);
    return { row, kept, keptCell };
  }

  /** Append the table, most frequent label first; labels that no video has are left out. */
  function show({ content, counts }) {
    const order = content.labels.map((_, index) => index).filter((index) => counts.labelTotal[index]);
    order.sort((a, b) => counts.labelTotal[b] - counts.labelTotal[a]);
    if (!order.length) {
      byId("labels").append(make("p", { className: "empty", textContent: "No clip in this table has a label." }));
      return { update() {} };
    }
    const largest = counts.labelTotal[order[0]];
    const rows = order.map((index) =>
      ({ index, ...makeRow(content.labels[index], counts.labelTotal[index], counts.scored, largest) }));
    byId("labels").append(make("table", { className: "labels" },
      make("thead", {}, make("tr", {}, make("th", { textContent: "label", scope: "col" }), make("th"),
        make("th", { textContent: "all", scope: "col", className: "all-head" }),
        make("th", { textContent: "kept", scope: "col", className: "kept-head" }))),
      make("tbody", {}, ...rows.map(({ row }) => row))));
    return {
      update() {
        for (const { index, kept, keptCell } of rows) {
          const share = counts.kept ? counts.labelKept[index] / counts.kept : 0;
          kept.style.width = `${Math.min(100, (100 * share * counts.scored) / largest)}%`;
          keptCell.textContent = format.percent(counts.labelKept[index], counts.kept);
        }
      },
    };
  }
  return { show };
})();
