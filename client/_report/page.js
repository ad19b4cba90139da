"use strict";
(() => {
  const SCORES = ["camera", "object", "dynamics"];
  const TITLES = { camera: "Camera movement", object: "Object movement", dynamics: "Dynamics" };
  const BIN = 0.05; // cut-offs of one decimal fall between two bins
  const MOST_BINS = 240;
  const STEP = 0.01;
  const LARGE_STEP = 0.1;
  const POINTS = 4000;
  const FEW = 6; // a cell with fewer videos shows each as a point
  const PLOT_HEIGHT = 190;
  const KEPT = [27, 108, 168];
  const DROPPED = [217, 115, 13];
  const FONT = "12px system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif";

  const byId = (id) => document.getElementById(id);
  const content = JSON.parse(byId("content").textContent);
  const count = content.scored;

  function make(tag, properties = {}, ...children) {
    const { dataset, ...rest } = properties;
    const element = Object.assign(document.createElement(tag), rest);
    Object.assign(element.dataset, dataset);
    element.append(...children);
    return element;
  }
  const whole = new Intl.NumberFormat("en");
  const percent = (part, all) => (all ? `${((100 * part) / all).toFixed(1)} %` : "–");
  const plural = (number, noun) => `${whole.format(number)} ${noun}${number === 1 ? "" : "s"}`;
  const twoDecimals = (value) => (Math.abs(value * 100 - Math.round(value * 100)) < 1e-9 ? value.toFixed(2) : String(value));

  function bytesOf(id) {
    const element = byId(id);
    const text = element.textContent;
    element.remove(); // megabytes that are not needed twice
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text).buffer;
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    return bytes.buffer;
  }
  const values = Object.fromEntries(SCORES.map((score) => [score, new Float32Array(bytesOf(`values-${score}`))]));
  const labelBits = new Uint32Array(bytesOf("label-bits"));
  const words = count ? labelBits.length / count : 0;

  const presets = content.presets;
  const presetOf = Object.fromEntries(presets.map((preset) => [preset.name, preset]));
  const limitOf = (preset, score) => preset.limits.find((limit) => limit.score === score);

  // ---- What does not change with the thresholds: scales, bins, cells.

  const scale = {};
  for (const score of SCORES) {
    const column = values[score];
    let low = 0;
    let high = 3;
    for (let i = 0; i < count; i++) {
      if (column[i] < low) low = column[i];
      if (column[i] > high) high = column[i];
    }
    for (const preset of presets) {
      const limit = limitOf(preset, score);
      if (limit) {
        low = Math.min(low, limit.cutoff);
        high = Math.max(high, limit.cutoff);
      }
    }
    low = Math.floor(low * 10 + 1e-6) / 10;
    high = Math.ceil(high * 10 - 1e-6) / 10;
    const bins = Math.min(MOST_BINS, Math.round((high - low) / BIN));
    scale[score] = { low, high, bins, width: (high - low) / bins };
  }
  function binned(score) {
    const { low, bins, width } = scale[score];
    const column = values[score];
    const index = new Uint8Array(count);
    const total = new Uint32Array(bins);
    for (let i = 0; i < count; i++) {
      // float32 values that print as an edge belong to the right of it.
      const bin = Math.min(bins - 1, Math.max(0, Math.floor((column[i] - low) / width + 1e-5)));
      index[i] = bin;
      total[bin]++;
    }
    return { index, total, kept: new Uint32Array(bins) };
  }
  const histogram = Object.fromEntries(SCORES.map((score) => [score, binned(score)]));

  const columns = scale.camera.bins;
  const cellTotal = new Uint32Array(columns * scale.object.bins);
  const cellKept = new Uint32Array(cellTotal.length);
  const cell = new Uint16Array(count);
  for (let i = 0; i < count; i++) {
    cell[i] = histogram.object.index[i] * columns + histogram.camera.index[i];
    cellTotal[cell[i]]++;
  }
  const densest = cellTotal.reduce((most, number) => Math.max(most, number), 0);
  const points = [];
  for (let i = 0; i < count; i++) if (count <= POINTS || cellTotal[cell[i]] < FEW) points.push(i);
  const stride = Math.ceil(points.length / POINTS);
  const sampled = points.filter((_, index) => index % stride === 0);

  const labelAll = new Uint32Array(content.labels.length);
  const labelKept = new Uint32Array(content.labels.length);
  function countLabels(i, into) {
    for (let word = 0; word < words; word++) {
      let bits = labelBits[i * words + word];
      while (bits) {
        into[word * 32 + 31 - Math.clz32(bits & -bits)]++;
        bits &= bits - 1;
      }
    }
  }
  for (let i = 0; i < count; i++) countLabels(i, labelAll);

  // ---- What the thresholds decide. Comparisons are in float32, as in client.presets.

  const taken = new Uint8Array(count); // bit k: preset k takes the video, on or not
  const state = { kept: 0, dropped: 0, takes: presets.map(() => 0) };

  function take(preset, bit) {
    // A limit on each score at most; where there are fewer, the first again. Above c is below -c of what is negated.
    const limits = SCORES.map((_, index) => preset.limits[index] ?? preset.limits[0]);
    const [signA, signB, signC] = limits.map((limit) => (limit.side === "below" ? -1 : 1));
    const [cutoffA, cutoffB, cutoffC] = limits.map((limit) => (limit.side === "below" ? -1 : 1) * Math.fround(limit.cutoff));
    const [a, b, c] = limits.map((limit) => values[limit.score]);
    let number = 0;
    for (let i = 0; i < count; i++) {
      if (signA * a[i] > cutoffA && signB * b[i] > cutoffB && signC * c[i] > cutoffC) {
        taken[i] |= bit;
        number++;
      } else {
        taken[i] &= ~bit;
      }
    }
    return number;
  }
  function recount() {
    let on = 0;
    presets.forEach((preset, k) => {
      if (preset.on) on |= 1 << k;
      if (!preset.counted) state.takes[k] = take(preset, 1 << k);
      preset.counted = true;
    });
    state.on = on;
    const [camera, object, dynamics] = SCORES.map((score) => histogram[score]);
    for (const { kept } of [camera, object, dynamics]) kept.fill(0);
    cellKept.fill(0);
    labelKept.fill(0);
    let kept = 0;
    for (let i = 0; i < count; i++) {
      if (taken[i] & on) continue;
      kept++;
      camera.kept[camera.index[i]]++;
      object.kept[object.index[i]]++;
      dynamics.kept[dynamics.index[i]]++;
      cellKept[cell[i]]++;
      countLabels(i, labelKept);
    }
    state.kept = kept;
    state.dropped = count - kept;
  }

  // ---- The page.

  byId("source").textContent = [
    content.name,
    plural(content.videos, "video"),
    content.weights.motion ? `weights ${content.weights.motion}, ${content.weights.camera}` : "weights not known",
    ...(content.weights.precision ? [content.weights.precision] : []),
  ].join(" · ");
  const notice = (text) => byId("notices").append(make("p", { className: "notice", textContent: text }));
  if (content.standIn) notice("These scores come from stand-in weights: they mean nothing.");
  if (!count) notice(content.videos ? "No video in this table has scores." : "This table is empty.");
  for (const element of document.querySelectorAll('[data-count="failed"]')) {
    element.textContent = whole.format(content.videos - count);
  }

  const presetCards = presets.map((preset) => {
    const box = make("input", { type: "checkbox", checked: preset.on, dataset: { preset: preset.name } });
    box.setAttribute("role", "switch");
    box.addEventListener("change", () => { preset.on = box.checked; changed(); });
    const inputs = preset.limits.map((limit) => {
      const input = make("input", { type: "number", step: "any", min: "-1000", max: "1000", required: true, dataset: { preset: preset.name, score: limit.score } });
      input.setAttribute("aria-label", `${preset.name}: ${limit.score} ${limit.side}`);
      input.addEventListener("input", () => {
        if (input.validity.valid) setCutoff(preset, limit, input.valueAsNumber, input);
      });
      input.addEventListener("change", () => { if (!input.validity.valid) refresh(); });
      return input;
    });
    const number = make("b", { dataset: { count: preset.name } });
    const share = make("span");
    const card = make("div", { className: "card preset" },
      make("label", { className: "switch" }, box, `Drop ${preset.name}`),
      make("p", { className: "meaning", textContent: sentence(preset.meaning) }),
      make("div", { className: "limits" }, ...preset.limits.map((limit, index) =>
        make("label", {}, `${limit.score} ${limit.side === "below" ? "<" : ">"}`, inputs[index]))),
      make("p", { className: "takes" }, number, share));
    byId("presets").append(card);
    return { preset, card, inputs, number, share };
  });
  function sentence(text) { return text[0].toUpperCase() + text.slice(1) + "."; }

  const charts = SCORES.map((score) => {
    const { low, high, bins, width } = scale[score];
    const readout = make("p", { className: "readout" });
    const lanes = make("div", { className: "lanes" });
    const plot = make("div", { className: "plot" });
    byId("charts").append(make("div", { className: "card chart" },
      make("h3", { textContent: TITLES[score] }), readout, make("div", { className: "chart-body" }, lanes, plot)));
    // Every chart has as many lanes, so that the plots stand in line.
    const sliders = presets.map((preset, k) => {
      const limit = limitOf(preset, score);
      const lane = make("div", { className: "lane" });
      lanes.append(lane);
      return limit ? makeSlider(lane, preset, limit, presets.length - 1 - k) : null;
    }).filter(Boolean);
    const edges = Array.from({ length: bins }, (_, bin) => low + bin * width);
    const bars = uPlot.paths.bars({ size: [1, Infinity], align: 1, gap: 1 });
    const axis = { stroke: "#55616e", font: FONT, grid: { stroke: "#eceff2", width: 1 }, ticks: { stroke: "#dfe3e8", size: 4 } };
    const most = Math.max(1, histogram[score].total.reduce((a, b) => Math.max(a, b), 0));
    const data = () => [edges, histogram[score].total, histogram[score].kept];
    const chart = new uPlot({
      width: 300, height: PLOT_HEIGHT, padding: [10, 28, 0, 0], legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: { x: { time: false, range: [low, high] }, y: { range: [0, most * 1.06] } },
      axes: [
        { ...axis, size: 28, grid: { show: false }, space: 40 },
        { ...axis, size: 74, space: 36, ticks: { show: false }, values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? compact(tick) : "")) },
      ],
      series: [{}, { paths: bars, fill: "#e39a55", stroke: "transparent", width: 0, points: { show: false } },
        { paths: bars, fill: "#1b6ca8", stroke: "transparent", width: 0, points: { show: false } }],
      hooks: {
        setCursor: [(u) => {
          const bin = Math.floor((u.posToVal(u.cursor.left, "x") - low) / width);
          const inside = u.cursor.left >= 0 && bin >= 0 && bin < bins;
          readout.textContent = inside
            ? `${edges[bin].toFixed(2)} to ${(edges[bin] + width).toFixed(2)}: ${plural(histogram[score].total[bin], "video")}, ${whole.format(histogram[score].kept[bin])} kept`
            : describe(score);
        }],
      },
    }, data(), plot);
    readout.textContent = describe(score);
    new ResizeObserver(() => {
      if (plot.clientWidth) chart.setSize({ width: plot.clientWidth, height: PLOT_HEIGHT });
    }).observe(plot);
    return { update: () => chart.setData(data(), false), redraw: () => chart.redraw(), chart, sliders };
  });
  function compact(number) {
    return number >= 1e6 ? `${number / 1e6}M` : number >= 1e4 ? `${number / 1e3}k` : whole.format(number);
  }
  function describe(score) {
    if (!count) return "no scores";
    const sorted = describe.medians ??= {};
    sorted[score] ??= Float32Array.from(values[score]).sort()[count >> 1];
    return `median ${sorted[score].toFixed(2)}`;
  }

  function makeSlider(lane, preset, limit, lanesBelow) {
    const { low, high } = scale[limit.score];
    const band = make("div", { className: "band" });
    const thumb = make("div", { className: "thumb", tabIndex: 0, dataset: { preset: preset.name, score: limit.score } });
    thumb.setAttribute("role", "slider");
    thumb.setAttribute("aria-label", `${preset.name}: ${limit.score} ${limit.side}`);
    thumb.setAttribute("aria-valuemin", low);
    thumb.setAttribute("aria-valuemax", high);
    // From the thumb down to the axis.
    thumb.style.setProperty("--reach", `calc(${lanesBelow} * var(--lane) + ${PLOT_HEIGHT - 28 + 3}px)`);
    const track = make("div", { className: "track" }, band, thumb);
    lane.append(make("span", { className: "lane-name", textContent: preset.name }), track);
    const at = (event) => {
      const box = track.getBoundingClientRect();
      const share = Math.min(1, Math.max(0, (event.clientX - grip - box.left) / box.width));
      setCutoff(preset, limit, rounded(low + share * (high - low)));
    };
    let grip = 0; // from the middle of the thumb to where it was taken hold of
    track.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      event.preventDefault();
      const box = thumb.getBoundingClientRect();
      grip = event.target === thumb ? event.clientX - (box.left + box.width / 2) : 0;
      thumb.setPointerCapture(event.pointerId);
      thumb.classList.add("is-dragged");
      thumb.focus({ preventScroll: true, focusVisible: false });
      if (event.target !== thumb) at(event);
    });
    thumb.addEventListener("pointermove", (event) => { if (thumb.hasPointerCapture(event.pointerId)) at(event); });
    const release = () => thumb.classList.remove("is-dragged");
    thumb.addEventListener("pointerup", release);
    thumb.addEventListener("pointercancel", release);
    thumb.addEventListener("keydown", (event) => {
      const step = event.shiftKey ? LARGE_STEP : STEP;
      const to = {
        ArrowLeft: limit.cutoff - step, ArrowDown: limit.cutoff - step,
        ArrowRight: limit.cutoff + step, ArrowUp: limit.cutoff + step,
        PageDown: limit.cutoff - LARGE_STEP, PageUp: limit.cutoff + LARGE_STEP, Home: low, End: high,
      }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      setCutoff(preset, limit, rounded(Math.min(high, Math.max(low, to))));
    });
    return {
      update() {
        const share = Math.min(1, Math.max(0, (limit.cutoff - low) / (high - low)));
        thumb.style.left = `${100 * share}%`;
        thumb.textContent = twoDecimals(limit.cutoff).slice(0, 5);
        thumb.setAttribute("aria-valuenow", limit.cutoff);
        thumb.setAttribute("aria-valuetext", `${limit.score} ${limit.side} ${twoDecimals(limit.cutoff)}${preset.on ? "" : ", off"}`);
        band.style.left = limit.side === "below" ? "0" : `${100 * share}%`;
        band.style.right = limit.side === "below" ? `${100 - 100 * share}%` : "0";
        lane.classList.toggle("is-off", !preset.on);
      },
    };
  }
  const rounded = (value) => Math.round(value / STEP) / Math.round(1 / STEP);

  const plane = (() => {
    const element = byId("plane");
    const idle = count > POINTS
      ? `${plural(count, "video")}: darker where there are more, points where there are few`
      : plural(count, "video");
    const color = ([r, g, b], alpha) => `rgba(${r}, ${g}, ${b}, ${alpha})`;
    const axis = { stroke: "#55616e", font: FONT, labelFont: FONT, labelSize: 20, labelGap: 0, grid: { stroke: "#f1f3f5", width: 1 }, ticks: { stroke: "#dfe3e8", size: 4 } };
    const { camera, object } = scale;
    function draw(u) {
      const { ctx, bbox } = u;
      const ratio = uPlot.pxRatio;
      ctx.save();
      ctx.beginPath();
      ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
      ctx.clip();
      const x = (value) => u.valToPos(value, "x", true);
      const y = (value) => u.valToPos(value, "y", true);
      if (count > POINTS) {
        const logarithm = Math.log(densest / FEW + 1);
        for (let row = 0; row < object.bins; row++) {
          const top = Math.round(y(object.low + (row + 1) * object.width));
          const bottom = Math.round(y(object.low + row * object.width));
          for (let column = 0; column < columns; column++) {
            const index = row * columns + column;
            if (cellTotal[index] < FEW) continue;
            const left = Math.round(x(camera.low + column * camera.width));
            const right = Math.round(x(camera.low + (column + 1) * camera.width));
            const alpha = 0.16 + 0.8 * (Math.log(cellTotal[index] / FEW + 1) / logarithm) ** 1.25;
            ctx.fillStyle = color(2 * cellKept[index] >= cellTotal[index] ? KEPT : DROPPED, alpha.toFixed(3));
            ctx.fillRect(left, top, right - left, bottom - top);
          }
        }
      }
      const size = (count > POINTS ? 2 : count > 500 ? 3 : 5) * ratio;
      for (const [wanted, fill] of [[false, color(KEPT, count > POINTS ? 0.4 : 0.65)], [true, color(DROPPED, count > POINTS ? 0.5 : 0.75)]]) {
        ctx.fillStyle = fill;
        for (const i of sampled) {
          if (((taken[i] & state.on) !== 0) === wanted) {
            ctx.fillRect(x(values.camera[i]) - size / 2, y(values.object[i]) - size / 2, size, size);
          }
        }
      }
      ctx.lineWidth = 1.5 * ratio;
      ctx.setLineDash([5 * ratio, 4 * ratio]);
      ctx.textAlign = "left";
      ctx.textBaseline = "alphabetic";
      ctx.font = `600 ${12 * ratio}px system-ui, -apple-system, "Segoe UI", Roboto, Arial, sans-serif`;
      for (const preset of presets.filter((each) => each.on)) {
        const edges = {};
        for (const [score, { low, high }] of [["camera", camera], ["object", object]]) {
          const limit = limitOf(preset, score);
          edges[score] = !limit ? [low - 1, high + 1] : limit.side === "below" ? [low - 1, limit.cutoff] : [limit.cutoff, high + 1];
        }
        const [left, right, top, bottom] = [x(edges.camera[0]), x(edges.camera[1]), y(edges.object[1]), y(edges.object[0])];
        ctx.strokeStyle = "#7a3a00";
        ctx.strokeRect(left, top, right - left, bottom - top);
        // The name stands in the region's upper right corner, or from its left edge on where it is wider, but inside the plot.
        const text = preset.name;
        const width = ctx.measureText(text).width;
        const gap = 5 * ratio;
        const inRegion = Math.max(Math.max(left, bbox.left) + gap, Math.min(right, bbox.left + bbox.width) - width - gap);
        const inset = Math.min(inRegion, bbox.left + bbox.width - width - gap);
        const baseline = Math.max(top, bbox.top) + 16 * ratio;
        ctx.lineJoin = "round";
        ctx.save();
        ctx.setLineDash([]);
        ctx.lineWidth = 4 * ratio;
        ctx.strokeStyle = "rgba(255, 255, 255, .85)";
        ctx.strokeText(text, inset, baseline);
        ctx.fillStyle = "#7a3a00";
        ctx.fillText(text, inset, baseline);
        ctx.restore();
      }
      ctx.restore();
    }
    const height = (width) => Math.round(Math.min(460, Math.max(280, width * 0.72)));
    const chart = new uPlot({
      width: 300, height: 300, padding: [8, 14, 0, 0], legend: { show: false },
      cursor: { points: { show: false }, drag: { x: false, y: false } },
      scales: { x: { time: false, range: [camera.low, camera.high] }, y: { range: [object.low, object.high] } },
      axes: [{ ...axis, label: "camera", size: 28 }, { ...axis, label: "object", size: 36 }],
      series: [{}, { show: true, paths: () => null, points: { show: false } }],
      hooks: {
        draw: [draw],
        setCursor: [(u) => {
          const column = Math.floor((u.posToVal(u.cursor.left, "x") - camera.low) / camera.width);
          const row = Math.floor((u.posToVal(u.cursor.top, "y") - object.low) / object.width);
          const inside = u.cursor.left >= 0 && column >= 0 && column < columns && row >= 0 && row < object.bins;
          if (!inside) { byId("plane-readout").textContent = idle; return; }
          const range = ({ low, width }, index) => `${(low + index * width).toFixed(2)} to ${(low + (index + 1) * width).toFixed(2)}`;
          const index = row * columns + column;
          byId("plane-readout").textContent =
            `camera ${range(camera, column)}, object ${range(object, row)}: ${plural(cellTotal[index], "video")}, ${whole.format(cellKept[index])} kept`;
        }],
      },
    }, [[camera.low, camera.high], [null, null]], element);
    byId("plane-readout").textContent = idle;
    new ResizeObserver(() => {
      const width = element.clientWidth - 14;
      if (width > 0) chart.setSize({ width, height: height(width) });
    }).observe(element);
    return { update: () => chart.redraw(false) };
  })();

  const labels = (() => {
    const order = content.labels.map((_, index) => index).filter((index) => labelAll[index]);
    order.sort((a, b) => labelAll[b] - labelAll[a]);
    if (!order.length) {
      byId("labels").append(make("p", { className: "empty", textContent: "No clip in this table has a label." }));
      return { update() {} };
    }
    const most = labelAll[order[0]] / count;
    const rows = order.map((index) => {
      const all = make("i", { className: "all" });
      const kept = make("i", { className: "kept" });
      const keptCell = make("td", { dataset: { labelKept: content.labels[index] } });
      all.style.width = `${(100 * labelAll[index]) / count / most}%`;
      const name = make("th", { textContent: content.labels[index], scope: "row" });
      const row = make("tr", {}, name, make("td", { className: "bar" }, make("div", {}, all, kept)),
        make("td", { textContent: percent(labelAll[index], count) }), keptCell);
      return { index, row, kept, keptCell };
    });
    byId("labels").append(make("table", { className: "labels" },
      make("thead", {}, make("tr", {}, make("th", { textContent: "label", scope: "col" }), make("th"),
        make("th", { textContent: "all", scope: "col", className: "all-head" }), make("th", { textContent: "kept", scope: "col", className: "kept-head" }))),
      make("tbody", {}, ...rows.map(({ row }) => row))));
    return {
      update() {
        for (const { index, kept, keptCell } of rows) {
          const share = state.kept ? labelKept[index] / state.kept : 0;
          kept.style.width = `${Math.min(100, (100 * share) / most)}%`;
          keptCell.textContent = percent(labelKept[index], state.kept);
        }
      },
    };
  })();

  const gallery = (() => {
    const fates = [];
    const moved = [];
    let playing = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    const seen = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        if (isIntersecting && !target.src) target.src = target.dataset.src;
        target.isSeen = isIntersecting;
        play(target);
      }
    }, { rootMargin: "200px" });
    function play(video) {
      if (playing && video.isSeen) video.play().catch(() => {}); // paused again before it could start
      else video.pause();
    }
    function picture(example) {
      const fate = make("span", { className: "fate", dataset: { index: example.index } });
      fates.push({ fate, index: example.index });
      if (!example.mp4) return make("div", { className: "picture is-missing" }, fate, make("span", { textContent: example.reason }));
      const video = make("video", { muted: true, loop: true, playsInline: true, preload: "metadata", dataset: { src: `data:video/mp4;base64,${example.mp4}` } });
      video.setAttribute("aria-label", `Preview of ${example.video}`);
      seen.observe(video);
      return make("div", { className: "picture" }, video, fate);
    }
    function card(example, score) {
      const scores = make("dl", {}, ...SCORES.map((each) => make("div", { className: each === score ? "is-decided" : "" },
        make("dt", { textContent: each }), make("dd", { textContent: values[each][example.index].toFixed(3) }))));
      const part = example.part.some((second) => second !== null)
        ? `, ${example.part[0] ?? 0} to ${example.part[1] ?? "end"} s` : "";
      return make("figure", { className: "example" }, picture(example),
        make("figcaption", {},
          make("div", { className: "name", title: example.video, textContent: example.video.split("/").pop() + part }),
          scores,
          make("div", { className: "moves", textContent: example.intervals.map((interval) => interval.replaceAll(" ", "\u00a0")).join(", ") || "no camera label" })));
    }
    const all = content.gallery.flatMap(({ taken: inside, spared }) => [...inside, ...spared]);
    const shown = new Map(all.map((example) => [example.index, example]));
    const lost = [...shown.values()].filter((example) => !example.mp4).length;
    byId("gallery-lead").textContent =
      "The nearest on either side, among the videos that the threshold alone decides."
      + (lost ? ` ${whole.format(lost)} of ${plural(shown.size, "video")} cannot be shown: not found, or not decoded.` : "");
    byId("gallery-section").hidden = !all.length;
    for (const preset of presets) {
      const block = make("div", { className: "gallery-preset" }, make("h3", { textContent: preset.name[0].toUpperCase() + preset.name.slice(1) }));
      for (const threshold of content.gallery.filter((each) => each.preset === preset.name)) {
        const limit = limitOf(preset, threshold.score);
        const initial = limit.cutoff;
        const sign = limit.side === "below" ? ["<", "≥"] : [">", "≤"];
        const side = (examples, title, note) => make("div", { className: "side" },
          make("h4", {}, title, make("small", { textContent: note })),
          examples.length ? make("div", { className: "cards" }, ...examples.map((example) => card(example, threshold.score)))
            : make("p", { className: "empty", textContent: "No video is on this side of the threshold alone." }));
        const note = make("p", { className: "moved", hidden: true });
        moved.push({ note, limit, initial });
        block.append(make("div", { className: "threshold" }, note,
          side(threshold.taken, `${threshold.score} ${sign[0]} ${twoDecimals(initial)}`, `${preset.name} drops these`),
          side(threshold.spared, `${threshold.score} ${sign[1]} ${twoDecimals(initial)}`, `${preset.name} spares these`)));
      }
      byId("gallery").append(block);
    }
    const button = byId("play");
    function toggle(on) {
      playing = on;
      button.textContent = on ? "Pause previews" : "Play previews";
      button.setAttribute("aria-pressed", String(on));
      for (const video of document.querySelectorAll("video")) play(video);
    }
    button.hidden = lost === shown.size;
    button.addEventListener("click", () => toggle(!playing));
    toggle(playing);
    return {
      update() {
        for (const { fate, index } of fates) {
          const by = presets.filter((preset, k) => preset.on && taken[index] & (1 << k)).map((preset) => preset.name);
          fate.textContent = by.join(", ") || "kept";
          fate.classList.toggle("is-dropped", by.length > 0);
        }
        for (const { note, limit, initial } of moved) {
          note.hidden = limit.cutoff === initial;
          note.textContent = `You moved this threshold to ${twoDecimals(limit.cutoff)}; these examples are from near ${twoDecimals(initial)}.`;
        }
      },
    };
  })();

  // ---- Commands.

  function presetArguments() {
    return presets.filter((preset) => preset.on).flatMap((preset) => {
      const cutoffs = preset.limits.filter((limit) => limit.cutoff !== limit.published).map((limit) => `${limit.score}=${limit.cutoff}`);
      return [`--drop ${preset.name}`, ...(cutoffs.length ? [`--${preset.name} ${cutoffs.join(",")}`] : [])];
    });
  }
  function writeCommands() {
    const chosen = presetArguments();
    const suffix = content.hasParts ? "jsonl" : "txt"; // a .txt list cannot say which part of a video
    byId("filter-command").textContent = chosen.length
      ? ["python -m client.filter", content.scoresArgument, ...chosen, `--kept kept.${suffix} --dropped dropped.${suffix}`].join(" ")
      : "# no preset is on: nothing would be dropped";
    byId("report-command").textContent = ["python -m client.report", content.scoresArgument, ...chosen, "--output report.html"].join(" ");
  }
  let statusTimer;
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.addEventListener("click", async () => {
      const code = byId(button.dataset.copy);
      let copied = true;
      try {
        await navigator.clipboard.writeText(code.textContent);
      } catch { // not allowed here: the older way
        getSelection().selectAllChildren(code);
        copied = document.execCommand("copy");
      }
      byId("status").textContent = copied ? "Copied" : "Could not copy: the command is selected";
      clearTimeout(statusTimer);
      statusTimer = setTimeout(() => { byId("status").textContent = ""; }, 2000);
    });
  }

  // ---- Failures.

  if (content.videos > count) {
    byId("failures-section").hidden = false;
    for (const [reason, number] of content.failureKinds) {
      byId("failure-kinds").append(make("li", {}, make("b", { textContent: whole.format(number) }), reason));
    }
    byId("failures-summary").textContent = `The first ${whole.format(content.failures.length)}`;
    for (const { video, reason } of content.failures) byId("failures").append(make("li", { textContent: `${video}: ${reason}` }));
  }

  // ---- Together.

  function setCutoff(preset, limit, cutoff, source = null) {
    if (cutoff === limit.cutoff) return;
    limit.cutoff = cutoff;
    preset.counted = false;
    changed(source);
  }
  function refresh(source = null) {
    recount();
    for (const { preset, card, inputs, number, share } of presetCards) {
      const k = presets.indexOf(preset);
      number.textContent = whole.format(state.takes[k]);
      share.textContent = `${percent(state.takes[k], count)} of the scored${preset.on ? "" : ", not dropped"}`;
      card.classList.toggle("is-off", !preset.on);
      // Not the one that is being typed into.
      inputs.forEach((input, index) => { if (input !== source) input.value = preset.limits[index].cutoff; });
    }
    for (const what of ["kept", "dropped"]) {
      document.querySelector(`[data-count="${what}"]`).textContent = whole.format(state[what]);
      document.querySelector(`[data-share="${what}"]`).textContent = percent(state[what], count);
    }
    byId("meter-kept").style.width = `${count ? (100 * state.kept) / count : 0}%`;
    byId("meter-kept").parentElement.classList.toggle("is-empty", !count);
    for (const { update, sliders } of charts) {
      for (const slider of sliders) slider.update();
      update();
    }
    plane.update();
    labels.update();
    gallery.update();
    writeCommands();
  }
  let waiting = null;
  function changed(source = null) {
    // As often as the screen is drawn, however often the pointer moves.
    if (waiting === null) requestAnimationFrame(() => { const from = waiting.source; waiting = null; refresh(from); });
    waiting = { source };
  }
  refresh();
  document.documentElement.dataset.ready = "true";
})();
