"use strict";
/** Puts the page together: everything that moves goes through `report.setCutoff` or `report.setOn`, then `refresh`. */
(() => {
  const { byId, make } = dom;
  const { content, values, labelBits } = data;
  const presets = content.presets;
  const binned = binning.bin(values, presets, content.measures);
  const counts = new counting.Counts({ values, labelBits, labels: content.labels, ...binned }, presets);
  counts.update();
  let pending = null; // the refresh that the next frame makes
  const report = {
    content, values, presets, counts, ...binned,
    /** source: the input that the user is typing into, if any. */
    setCutoff(limit, cutoff, source = null) {
      if (cutoff === limit.cutoff) return;
      limit.cutoff = cutoff;
      refreshSoon(source);
    },
    setOn(preset, on) {
      preset.on = on;
      refreshSoon();
    },
  };

  showHeader();
  const views = [presetCards, charts, plane, labelTable, gallery].map((view) => view.show(report));
  showFailures();
  clipboard.connect();
  refresh();
  document.documentElement.dataset.ready = "true";

  function showHeader() {
    const { motion, camera, precision } = content.weights;
    byId("source").textContent = [
      content.name,
      format.plural(content.videos, "video"),
      motion ? `weights ${motion}, ${camera}` : "weights unknown",
      ...(precision ? [precision] : []),
    ].join(" · ");
    const notice = (text) => byId("notices").append(make("p", { className: "notice", textContent: text }));
    if (content.randomWeights) notice("These scores come from random weights: they mean nothing.");
    const notTold = Object.entries(content.presetsNotTold ?? {});
    for (const reason of new Set(notTold.map(([, why]) => why))) {
      const names = notTold.filter(([, why]) => why === reason).map(([name]) => name);
      byId("presets-not-told").append(make("li", { textContent: `${names.join(", ")}: ${reason}.` }));
    }
    byId("presets-not-told-section").hidden = !notTold.length;
    if (!counts.scored) notice(content.videos ? "No video in this table has scores." : "This table is empty.");
    document.querySelector('[data-count="failed"]').textContent = format.integer(content.videos - counts.scored);
  }

  function showFailures() {
    if (content.videos === counts.scored) return;
    byId("failures-section").hidden = false;
    for (const [reason, number] of content.failureKinds) {
      byId("failure-kinds").append(make("li", {}, make("b", { textContent: format.integer(number) }), reason));
    }
    byId("failures-summary").textContent = `The first ${format.integer(content.failures.length)}`;
    for (const { video, reason } of content.failures) {
      byId("failures").append(make("li", { textContent: `${video}: ${reason}` }));
    }
  }

  function showTotals() {
    for (const what of ["kept", "dropped"]) {
      document.querySelector(`[data-count="${what}"]`).textContent = format.integer(counts[what]);
      document.querySelector(`[data-share="${what}"]`).textContent = format.percent(counts[what], counts.scored);
    }
    byId("meter-kept").style.width = `${counts.scored ? (100 * counts.kept) / counts.scored : 0}%`;
    byId("meter-kept").parentElement.classList.toggle("is-empty", !counts.scored);
  }

  function refresh(source = null) {
    counts.update();
    showTotals();
    for (const view of views) view.update(source);
    byId("filter-command").textContent = commands.filter(content, presets);
    byId("report-command").textContent = commands.report(content, presets);
  }

  /** Refresh at most once for each frame that the screen draws, however often the pointer moves. */
  function refreshSoon(source = null) {
    if (pending === null) {
      requestAnimationFrame(() => {
        const from = pending.source;
        pending = null;
        refresh(from);
      });
    }
    pending = { source };
  }
})();
