"use strict";
/** The thumb that moves one threshold, by mouse, touch or keyboard. */
const sliders = (() => {
  const { make } = dom;
  const STEPS_PER_UNIT = 100;
  const STEP = 1 / STEPS_PER_UNIT;
  const LARGE_STEP = 0.1;
  const LONG_AXIS = 30; // from here on, steps are a hundred times as long

  const rounded = (value) => Math.round(value * STEPS_PER_UNIT) / STEPS_PER_UNIT;
  const clamped = (value, low, high) => Math.min(high, Math.max(low, value));

  /** Fill a lane above a chart with the slider of a limit; `reach` (CSS) is the length of its line down to the axis. */
  function makeSlider(report, lane, preset, limit, reach) {
    const { low, high } = report.histograms[limit.score];
    const band = make("div", { className: "band" });
    const dataset = { preset: preset.name, score: limit.score };
    const thumb = make("div", { className: "thumb", tabIndex: 0, dataset });
    thumb.setAttribute("role", "slider");
    thumb.setAttribute("aria-label", `${preset.name}: ${limit.score} ${limit.side}`);
    thumb.setAttribute("aria-valuemin", low);
    thumb.setAttribute("aria-valuemax", high);
    thumb.style.setProperty("--reach", reach);
    const track = make("div", { className: "track" }, band, thumb);
    lane.append(make("span", { className: "lane-name", textContent: preset.name }), track);
    followPointer(track, thumb, (share) => report.setCutoff(limit, rounded(low + share * (high - low))));
    thumb.addEventListener("keydown", (event) => {
      const scale = high - low > LONG_AXIS ? STEPS_PER_UNIT : 1;
      const largeStep = LARGE_STEP * scale;
      const step = event.shiftKey ? largeStep : STEP * scale;
      const to = {
        ArrowLeft: limit.cutoff - step, ArrowDown: limit.cutoff - step,
        ArrowRight: limit.cutoff + step, ArrowUp: limit.cutoff + step,
        PageDown: limit.cutoff - largeStep, PageUp: limit.cutoff + largeStep, Home: low, End: high,
      }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      report.setCutoff(limit, rounded(clamped(to, low, high)));
    });
    return {
      update() {
        const share = 100 * clamped((limit.cutoff - low) / (high - low), 0, 1);
        const text = format.cutoff(limit.cutoff);
        thumb.style.left = `${share}%`;
        thumb.textContent = text.slice(0, 5);
        thumb.setAttribute("aria-valuenow", limit.cutoff);
        thumb.setAttribute("aria-valuetext", `${limit.score} ${limit.side} ${text}${preset.on ? "" : ", off"}`);
        band.style.left = limit.side === "below" ? "0" : `${share}%`;
        band.style.right = limit.side === "below" ? `${100 - share}%` : "0";
        lane.classList.toggle("is-off", !preset.on);
      },
    };
  }

  /** Call `move` with the share of the track, 0 to 1, that the pointer drags the thumb to. */
  function followPointer(track, thumb, move) {
    let grip = 0; // from the middle of the thumb to the point where the pointer holds it
    const follow = (event) => {
      const box = track.getBoundingClientRect();
      move(clamped((event.clientX - grip - box.left) / box.width, 0, 1));
    };
    track.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      event.preventDefault();
      const box = thumb.getBoundingClientRect();
      grip = event.target === thumb ? event.clientX - (box.left + box.width / 2) : 0;
      thumb.setPointerCapture(event.pointerId);
      thumb.classList.add("is-dragged");
      thumb.focus({ preventScroll: true, focusVisible: false });
      if (event.target !== thumb) follow(event);
    });
    thumb.addEventListener("pointermove", (event) => { if (thumb.hasPointerCapture(event.pointerId)) follow(event); });
    const release = () => thumb.classList.remove("is-dragged");
    thumb.addEventListener("pointerup", release);
    thumb.addEventListener("pointercancel", release);
  }
  return { makeSlider };
})();
