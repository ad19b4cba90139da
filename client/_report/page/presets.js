"use strict";
/** The cards of the presets: a switch, the cut-offs to type, and how many videos match. */
const presetCards = (() => {
  const { byId, make } = dom;

  const nameOf = ({ name }) => (name === counting.LEARNED ? "Use the learned filter" : `Drop ${name}`);

  function makeCard(report, preset) {
    const box = make("input", { type: "checkbox", checked: preset.on, dataset: { preset: preset.name } });
    box.setAttribute("role", "switch");
    box.addEventListener("change", () => report.setOn(preset, box.checked));
    const inputs = preset.limits.map((limit) => makeInput(report, preset, limit));
    const matches = make("b", { dataset: { count: preset.name } });
    const share = make("span");
    const card = make("div", { className: "card preset" },
      make("label", { className: "switch" }, box, nameOf(preset)),
      make("p", { className: "meaning", textContent: `${format.capitalized(preset.meaning)}.` }),
      make("div", { className: "limits" }, ...preset.limits.map((limit, index) =>
        make("label", {}, `${limit.score} ${limit.side === "below" ? "<" : ">"}`, inputs[index]))),
      make("p", { className: "matches" }, matches, share));
    byId("presets").append(card);
    return {
      update(source) {
        const number = report.counts.matches[report.presets.indexOf(preset)];
        matches.textContent = format.integer(number);
        const percent = format.percent(number, report.counts.scored);
        share.textContent = `${percent} of scored videos${preset.on ? "" : " match (off)"}`;
        card.classList.toggle("is-off", !preset.on);
        // Leave the field that the user is typing into alone.
        inputs.forEach((input, index) => { if (input !== source) input.value = preset.limits[index].cutoff; });
      },
    };
  }

  function makeInput(report, preset, limit) {
    const input = make("input", {
      type: "number", step: "any", min: limit.ends[0], max: limit.ends[1], required: true,
      dataset: { preset: preset.name, score: limit.score },
    });
    input.setAttribute("aria-label", `${preset.name}: ${limit.score} ${limit.side}`);
    input.addEventListener("input", () => {
      if (input.validity.valid) report.setCutoff(limit, input.valueAsNumber, input);
    });
    input.addEventListener("change", () => { if (!input.validity.valid) input.value = limit.cutoff; });
    return input;
  }

  /** Append a card for each preset. `update(source)` shows the counts; `source` is an input not to overwrite. */
  function show(report) {
    const cards = report.presets.map((preset) => makeCard(report, preset));
    return { update: (source) => cards.forEach((card) => card.update(source)) };
  }
  return { show };
})();
