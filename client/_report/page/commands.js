"use strict";
/** The command lines that do what the page shows. Pure. */
const commands = (() => {
  const LEARNED = "learned";

  /** A learned filter, and its threshold if it is not the default one. */
  function learnedArguments(content, { limits: [{ cutoff, published }] }) {
    return [`--learned ${content.learnedArgument}`, ...(cutoff === published ? [] : [`--at ${cutoff}`])];
  }

  /** `--drop` for each preset that is on, and its cut-offs that are not the published ones. */
  function presetArguments(content, presets) {
    return presets.filter((preset) => preset.on).flatMap((preset) => {
      if (preset.name === LEARNED) return learnedArguments(content, preset);
      const moved = preset.limits.filter((limit) => limit.cutoff !== limit.published);
      const cutoffs = moved.map((limit) => `${limit.score}=${limit.cutoff}`).join(",");
      return [`--drop ${preset.name}`, ...(cutoffs ? [`${preset.flag} ${cutoffs}`] : [])];
    });
  }

  /** Split the table into lists. Without a preset that is on, a comment, because the command refuses that. */
  function filter(content, presets) {
    const chosen = presetArguments(content, presets);
    if (!chosen.length) return "# no preset is on, so nothing is dropped";
    const suffix = content.hasParts ? "jsonl" : "txt"; // a .txt list cannot name a part of a video
    const names = ["kept", "dropped", ...(content.videos > content.scored ? ["failed"] : [])];
    const lists = names.map((name) => `--${name} ${name}.${suffix}`);
    return [content.filterCommand, content.scoresArgument, ...chosen, ...lists].join(" ");
  }

  /** Write the page again with these thresholds. */
  function report(content, presets) {
    const chosen = presetArguments(content, presets);
    return [content.reportCommand, content.scoresArgument, ...chosen, "--output report.html"].join(" ");
  }
  return { filter, report };
})();
if (typeof module !== "undefined") module.exports = commands;
