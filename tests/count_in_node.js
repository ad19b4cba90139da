"use strict";
// Counts the tables of standard input, a JSON list of pages as tests/test_counting.py writes it, with the page's code.
const path = require("node:path");
const page = (name) => require(path.join(__dirname, "..", "client", "_report", "page", name));
const { Counts } = page("counting.js");
const { bin } = page("binning.js");
const commands = page("commands.js");

function buffer(base64) {
  return Uint8Array.from(Buffer.from(base64, "base64")).buffer;
}

/** The counts for each choice of presets in turn, from one `Counts`, as the user of one page makes them. */
function count({ content, arrays, choices }) {
  const names = content.scores;
  const values = Object.fromEntries(names.map((score) => [score, new Float32Array(buffer(arrays[`values-${score}`]))]));
  const labelBits = new Uint32Array(buffer(arrays["label-bits"]));
  const { presets, labels } = content;
  const binned = bin(values, presets, content.measures);
  const counts = new Counts({ values, labelBits, labels, ...binned }, presets);
  return choices.map((choice) => {
    for (const preset of presets) {
      preset.on = preset.name in choice;
      for (const limit of preset.limits) limit.cutoff = choice[preset.name]?.[limit.score] ?? limit.published;
    }
    counts.update();
    return {
      kept: counts.kept,
      dropped: counts.dropped,
      matches: Object.fromEntries(presets.map((preset, k) => [preset.name, counts.matches[k]])),
      droppedBy: Array.from({ length: counts.scored }, (_, i) => counts.droppedBy(i).map((preset) => preset.name)),
      isDropped: Array.from({ length: counts.scored }, (_, i) => counts.isDropped(i)),
      labelTotal: Array.from(counts.labelTotal),
      labelKept: Array.from(counts.labelKept),
      total: Object.fromEntries(names.map((score) => [score, Array.from(binned.histograms[score].total)])),
      keptInBin: Object.fromEntries(names.map((score) => [score, Array.from(counts.keptInBin[score])])),
      cells: binned.grid.total.reduce((sum, number) => sum + number, 0),
      keptInCells: counts.keptInCell.reduce((sum, number) => sum + number, 0),
      filterCommand: commands.filter(content, presets),
      reportCommand: commands.report(content, presets),
    };
  });
}

const input = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(input.map(count)));
