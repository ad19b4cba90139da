"use strict";
/** Numbers and names as text. Pure. */
const format = (() => {
  const english = new Intl.NumberFormat("en");
  const integer = (number) => english.format(number);
  return {
    integer,
    plural: (number, noun) => `${integer(number)} ${noun}${number === 1 ? "" : "s"}`,
    percent: (part, all) => (all ? `${((100 * part) / all).toFixed(1)}%` : "–"),
    /** Two decimals, or more if the cut-off has more. */
    cutoff: (value) => (Math.abs(value * 100 - Math.round(value * 100)) < 1e-9 ? value.toFixed(2) : String(value)),
    /** Three decimals; "<0.500" if a score just below the cut-off 0.5 would read as the cut-off. */
    score(value, cutoff = null) {
      const text = value.toFixed(3);
      if (cutoff === null || Number(text) !== cutoff || value === Math.fround(cutoff)) return text;
      return (value < cutoff ? "<" : ">") + text;
    },
    /** A number for the tick of an axis. */
    tick: (number) => (number >= 1e6 ? `${number / 1e6}M` : number >= 1e3 ? `${number / 1e3}k` : integer(number)),
    capitalized: (text) => text[0].toUpperCase() + text.slice(1),
    from: ({ low, width }, bin) => `${(low + bin * width).toFixed(2)} or more`,
    range: ({ low, width }, bin) => `${(low + bin * width).toFixed(2)} to ${(low + (bin + 1) * width).toFixed(2)}`,
  };
})();
if (typeof module !== "undefined") module.exports = format;
