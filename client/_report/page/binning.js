"use strict";
/** Which bin of a histogram, and which cell of the camera/object plane, each video falls into. Pure. */
const binning = (() => {
  const BIN_WIDTH = 0.05; // cut-offs with one decimal fall between two bins
  const NOMINAL = { learned: { high: 1, binWidth: 0.02 } }; // a probability
  const MOST_BINS = 240; // a bin's index fits a Uint8, a cell's index a Uint16
  const NO_BIN = 255; // of a missing value; a typed array ignores what is counted there
  const MEASURE_BINS = 50;

  /**
   * The range of an axis: nominally 0 to 3, wider if a value or a cut-off is outside. That of a measure is wider only
   * for a cut-off: a few measures are a hundred times the others, and would leave one bin to these.
   */
  function axisOf(column, cutoffs, { high: nominal = 3, binWidth = BIN_WIDTH, isMeasure = false } = {}) {
    let low = Math.min(0, ...cutoffs);
    let high = Math.max(nominal, ...cutoffs);
    for (let i = 0; i < column.length && !isMeasure; i++) {
      if (column[i] < low) low = column[i];
      if (column[i] > high) high = column[i];
    }
    low = Math.floor(low * 10 + 1e-6) / 10;
    high = Math.ceil(high * 10 - 1e-6) / 10;
    const bins = Math.min(MOST_BINS, Math.round((high - low) / binWidth));
    return { low, high, bins, width: (high - low) / bins, isMeasure };
  }

  /** A histogram of one score: its axis, the bin of each video (`index`) and the videos in each bin (`total`). */
  function histogramOf(column, cutoffs, nominal) {
    const axis = axisOf(column, cutoffs, nominal);
    const { low, bins, width } = axis;
    const index = new Uint8Array(column.length);
    const total = new Uint32Array(bins);
    for (let i = 0; i < column.length; i++) {
      // The tolerance puts a float32 just below an edge, which prints as the edge, into the bin to its right.
      const bin = Math.min(bins - 1, Math.max(0, Math.floor((column[i] - low) / width + 1e-5)));
      index[i] = column[i] === column[i] ? bin : NO_BIN; // NaN is not itself
      total[index[i]]++;
    }
    return { ...axis, index, total };
  }

  /** The plane of two histograms: the cell of each video (row * columns + column) and the videos in each cell. */
  function gridOf(horizontal, vertical) {
    const columns = horizontal.bins;
    const rows = vertical.bins;
    const cell = new Uint16Array(horizontal.index.length);
    const total = new Uint32Array(columns * rows);
    for (let i = 0; i < cell.length; i++) {
      cell[i] = vertical.index[i] * columns + horizontal.index[i];
      total[cell[i]]++;
    }
    return { columns, rows, cell, total };
  }

  /** The histogram of each score and the camera/object grid; `measures`: where the axes of measures end, by name. */
  function bin(values, presets, measures = {}) {
    const limits = presets.flatMap((preset) => preset.limits);
    const histograms = {};
    for (const score of Object.keys(values)) {
      const cutoffs = limits.filter((limit) => limit.score === score).map((limit) => limit.cutoff);
      const high = measures[score]?.high;
      const nominal = high ? { high, binWidth: high / MEASURE_BINS, isMeasure: true } : NOMINAL[score];
      histograms[score] = histogramOf(values[score], cutoffs, nominal);
    }
    return { histograms, grid: gridOf(histograms.camera, histograms.object) };
  }
  return { bin };
})();
if (typeof module !== "undefined") module.exports = binning;
