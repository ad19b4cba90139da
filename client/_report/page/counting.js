"use strict";
/** Which preset matches which video, and the resulting counts: those of the command `filter`. Pure. */
const counting = (() => {
  const SCORES = ["camera", "object", "dynamics"];
  const LEARNED = "learned"; // the score of a learned filter, which not every page has

  const limitOf = (preset, score) => preset.limits.find((limit) => limit.score === score);

  /** Set `bit` in the flags of the videos that match all limits of a preset, clear it in the others; how many match. */
  function match(preset, values, flags, bit) {
    let matches = 0;
    for (let first = 0; first < preset.limits.length; first += 3) {
      matches = matchThree(preset.limits.slice(first, first + 3), values, flags, bit, !first);
    }
    return matches;
  }

  /** The same for at most three limits; unless they are the first, only videos that have the bit can match. */
  function matchThree(given, values, flags, bit, areFirst) {
    // Always three comparisons, so that the loop does not branch: fewer limits repeat their first.
    // "below" negates both sides. The scores are float32, so the cut-off is rounded too, as in client._tables.presets.
    // A missing value is NaN, which matches no limit.
    const limits = [0, 1, 2].map((index) => given[index] ?? given[0]);
    const signs = limits.map((limit) => (limit.side === "below" ? -1 : 1));
    const [signA, signB, signC] = signs;
    const [cutoffA, cutoffB, cutoffC] = limits.map((limit, index) => signs[index] * Math.fround(limit.cutoff));
    const [a, b, c] = limits.map((limit) => values[limit.score]);
    const others = areFirst ? 0 : bit;
    let matches = 0;
    for (let i = 0; i < flags.length; i++) {
      const hasOthers = (flags[i] & others) === others;
      if (hasOthers && signA * a[i] > cutoffA && signB * b[i] > cutoffB && signC * c[i] > cutoffC) {
        flags[i] |= bit;
        matches++;
      } else {
        flags[i] &= ~bit;
      }
    }
    return matches;
  }

  class Counts {
    /**
     * table: `values` and `labelBits` as in data.js, `labels` (names), and `histograms` and `grid` of binning.js;
     * presets: at most 16, each with `on` and `limits`. Call `update` first, and after every change of a preset.
     */
    constructor(table, presets) {
      this.presets = presets;
      this.scored = table.values.camera.length;
      this.kept = 0;
      this.dropped = 0;
      /** For each preset the videos that match it, whether it is on or off. */
      this.matches = presets.map(() => 0);
      /** Kept videos in each bin of each score, and in each cell of the grid. */
      this.keptInBin = {};
      for (const score of Object.keys(table.histograms)) this.keptInBin[score] = new Uint32Array(table.histograms[score].bins);
      this.keptInCell = new Uint32Array(table.grid.total.length);
      /** Videos with each label: all of them, and those kept. */
      this.labelTotal = new Uint32Array(table.labels.length);
      this.labelKept = new Uint32Array(table.labels.length);
      this._table = table;
      this._flags = new Uint16Array(this.scored); // bit k: the video matches preset k
      this._on = 0;
      this._counted = presets.map(() => null); // the cut-offs that `_flags` holds
      for (let i = 0; i < this.scored; i++) this._addLabels(i, this.labelTotal);
    }

    isDropped(video) {
      return (this._flags[video] & this._on) !== 0;
    }

    /** The presets that drop a video. */
    droppedBy(video) {
      return this.presets.filter((_, k) => this._flags[video] & this._on & (1 << k));
    }

    /** Count again after a preset was switched or a cut-off moved. */
    update() {
      let on = 0;
      this.presets.forEach((preset, k) => {
        if (preset.on) on |= 1 << k;
        const cutoffs = preset.limits.map((limit) => limit.cutoff).join();
        if (cutoffs === this._counted[k]) return;
        this.matches[k] = match(preset, this._table.values, this._flags, 1 << k);
        this._counted[k] = cutoffs;
      });
      this._on = on;
      this._countKept();
    }

    _countKept() {
      const { histograms, grid } = this._table;
      const [cameraBin, objectBin, dynamicsBin] = SCORES.map((score) => histograms[score].index);
      const [camera, object, dynamics] = SCORES.map((score) => this.keptInBin[score].fill(0));
      const others = Object.keys(histograms).filter((score) => !SCORES.includes(score))
        .map((score) => ({ index: histograms[score].index, kept: this.keptInBin[score].fill(0) }));
      const { _flags: flags, _on: on } = this;
      const cell = grid.cell;
      const inCell = this.keptInCell.fill(0);
      const labels = this.labelKept.fill(0);
      let kept = 0;
      for (let i = 0; i < flags.length; i++) {
        if (flags[i] & on) continue;
        kept++;
        camera[cameraBin[i]]++;
        object[objectBin[i]]++;
        dynamics[dynamicsBin[i]]++;
        for (const { index, kept: inBin } of others) inBin[index[i]]++;
        inCell[cell[i]]++;
        this._addLabels(i, labels);
      }
      this.kept = kept;
      this.dropped = this.scored - kept;
    }

    _addLabels(video, into) {
      const { labelBits, labels } = this._table;
      const words = Math.ceil(labels.length / 32);
      for (let word = 0; word < words; word++) {
        let bits = labelBits[video * words + word];
        while (bits) {
          into[word * 32 + 31 - Math.clz32(bits & -bits)]++;
          bits &= bits - 1;
        }
      }
    }
  }
  return { SCORES, LEARNED, limitOf, Counts };
})();
if (typeof module !== "undefined") module.exports = counting;
