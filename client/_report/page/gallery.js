"use strict";
/** Previews of the videos nearest to each threshold, on both sides of it. */
const gallery = (() => {
  const { byId, make } = dom;

  /** Plays only the previews in sight, and none after `toggle`. */
  function makePlayer() {
    let playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    const inSight = new Set();
    const observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting && !target.src) target.src = target.dataset.src;
        if (isIntersecting) inSight.add(target);
        else inSight.delete(target);
        play(target);
      }
    }, { rootMargin: "200px" });
    function play(video) {
      if (playing && inSight.has(video)) video.play().catch(() => {}); // rejected if paused before it started
      else video.pause();
    }
    const button = byId("play");
    function toggle(on) {
      playing = on;
      button.textContent = on ? "Pause previews" : "Play previews";
      button.setAttribute("aria-pressed", String(on));
      document.querySelectorAll("video").forEach(play);
    }
    button.addEventListener("click", () => toggle(!playing));
    toggle(playing);
    return { add: (video) => observer.observe(video) };
  }

  function makePreview(example, player, outcome) {
    if (!example.mp4) {
      const reason = make("span", { textContent: example.reason });
      return make("div", { className: "preview is-missing" }, outcome, reason);
    }
    const video = make("video", {
      muted: true, loop: true, playsInline: true, preload: "metadata",
      dataset: { src: `data:video/mp4;base64,${example.mp4}` },
    });
    video.setAttribute("aria-label", `Preview of ${example.video}`);
    player.add(video);
    return make("div", { className: "preview" }, video, outcome);
  }

  function makeExample({ content, values }, example, { score, cutoff }, preview) {
    const shown = content.scores.filter((each) => each === score || !(each in (content.measures ?? {})));
    const scores = shown.map((each) => make("div", { className: each === score ? "is-compared" : "" },
      make("dt", { textContent: each }),
      make("dd", { textContent: format.score(values[each][example.index], each === score ? cutoff : null) })));
    const isPart = example.part.some((second) => second !== null);
    const part = isPart ? `, ${example.part[0] ?? 0} to ${example.part[1] ?? "end"} s` : "";
    const last = example.intervals.length - 1;
    const intervals = example.intervals.flatMap((interval, index) =>
      [make("span", { className: "interval", textContent: interval + (index < last ? "," : "") }), " "]);
    return make("figure", { className: "example" }, preview,
      make("figcaption", {},
        make("div", { className: "name", title: example.video, textContent: example.video.split("/").pop() + part }),
        make("dl", {}, ...scores),
        make("div", { className: "labels-of" }, ...(intervals.length ? intervals : ["no camera label"]))));
  }

  function makeSide(title, note, examples) {
    return make("div", { className: "side" },
      make("h4", {}, title, make("small", { textContent: note })),
      examples.length ? make("div", { className: "cards" }, ...examples)
        : make("p", { className: "empty", textContent: "No video on this side matches the other limits." }));
  }

  function describeAll(content) {
    const all = content.gallery.flatMap(({ matched, unmatched }) => [...matched, ...unmatched]);
    const shown = new Map(all.map((example) => [example.index, example]));
    const missing = [...shown.values()].filter((example) => !example.mp4).length;
    const without = `${format.integer(missing)} of ${format.plural(shown.size, "video")}`;
    byId("gallery-lead").textContent =
      "The nearest videos on both sides of each threshold, among those that match the preset's other limits."
      + (missing ? ` ${without} cannot be shown: not found or not decoded.` : "");
    byId("gallery-section").hidden = !all.length;
    byId("play").hidden = missing === shown.size;
  }

  /** Append the examples; `update` says which presets now drop each, and which thresholds were moved. */
  function show(report) {
    const { content, counts, presets } = report;
    const player = makePlayer();
    const outcomes = [];
    const moved = [];
    const exampleOf = (compared) => (example) => {
      const outcome = make("span", { className: "outcome" });
      outcomes.push({ outcome, index: example.index });
      return makeExample(report, example, compared, makePreview(example, player, outcome));
    };
    describeAll(content);
    for (const preset of presets) {
      const thresholds = content.gallery.filter((each) => each.preset === preset.name);
      if (!thresholds.length) continue;
      const block = make("div", { className: "gallery-preset" },
        make("h3", { textContent: format.capitalized(preset.name) }));
      for (const threshold of thresholds) {
        const limit = counting.limitOf(preset, threshold.score);
        const initial = limit.cutoff;
        const makeOne = exampleOf({ ...limit }); // a copy, because the limit moves
        const [matches, doesNot] = limit.side === "below" ? ["<", "≥"] : [">", "≤"];
        const note = make("p", { className: "moved", hidden: true });
        moved.push({ note, limit, initial });
        const title = (sign) => `${threshold.score} ${sign} ${format.cutoff(initial)}`;
        block.append(make("div", { className: "threshold" }, note,
          makeSide(title(matches), `matches ${preset.name}`, threshold.matched.map(makeOne)),
          makeSide(title(doesNot), `does not match ${preset.name}`, threshold.unmatched.map(makeOne))));
      }
      byId("gallery").append(block);
    }
    return {
      update() {
        for (const { outcome, index } of outcomes) {
          const names = counts.droppedBy(index).map((preset) => preset.name);
          outcome.textContent = names.join(", ") || "kept";
          outcome.classList.toggle("is-dropped", names.length > 0);
        }
        for (const { note, limit, initial } of moved) {
          note.hidden = limit.cutoff === initial;
          note.textContent = `You moved this threshold to ${format.cutoff(limit.cutoff)}. `
            + `These examples are the nearest to ${format.cutoff(initial)}.`;
        }
      },
    };
  }
  return { show };
})();
