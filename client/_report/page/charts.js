"use strict";
/** The histogram of each score, with the thresholds of the presets above it. */
const charts = (() => {
  const { byId, make } = dom;
  const TITLES = { camera: "Camera movement", object: "Object movement", dynamics: "Dynamics", learned: "Learned filter" };
  const PLOT_HEIGHT = 190;
  const AXIS_HEIGHT = 28;
  const FONT = "12px system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif";
  const AXIS = {
    stroke: "#55616e", font: FONT, grid: { stroke: "#eceff2", width: 1 }, ticks: { stroke: "#dfe3e8", size: 4 },
  };

  const THUMB_HALF = 27; // half a thumb at the axis's low end, and its gap to the preset's name

  /** Make room, left of the plots, for the longest name of a preset; returns its width in CSS pixels. */
  function fitGutter(presets) {
    const context = make("canvas").getContext("2d");
    context.font = FONT;
    const widths = presets.map((preset) => context.measureText(preset.name).width);
    const gutter = Math.ceil(Math.max(...widths, 0)) + THUMB_HALF;
    byId("charts").style.setProperty("--gutter", `${gutter}px`);
    return gutter;
  }

  function makeChart(report, score, gutter) {
    const readout = make("p", { className: "readout" });
    const lanes = make("div", { className: "lanes" });
    const plot = make("div", { className: "plot" });
    byId("charts").append(make("div", { className: "card chart" },
      make("h3", { textContent: report.content.measures?.[score]?.title ?? TITLES[score] }),
      readout, make("div", { className: "chart-body" }, lanes, plot)));
    const thumbs = makeSliders(report, score, lanes);
    const { total } = report.histograms[score];
    const { low, bins, width } = report.histograms[score];
    const edges = Array.from({ length: bins }, (_, bin) => low + bin * width);
    const series = () => [edges, total, report.counts.keptInBin[score]];
    const chart = drawHistogram(report.histograms[score], series(), plot, readout, gutter, idleText(report.values[score]));
    return {
      update() {
        thumbs.forEach((thumb) => thumb.update());
        chart.setData(series(), false);
      },
    };
  }

  function makeSliders(report, score, lanes) {
    // A lane for every preset that has one in this chart or in another of its kind, so that the plots line up.
    const measures = report.content.measures ?? {};
    const isOfKind = (limit) => (limit.score in measures) === (score in measures);
    const presets = report.presets.filter((preset) => preset.limits.some(isOfKind));
    return presets.flatMap((preset, k) => {
      const limit = counting.limitOf(preset, score);
      const lane = make("div", { className: "lane" });
      lanes.append(lane);
      const lanesBelow = presets.length - 1 - k;
      const reach = `calc(${lanesBelow} * var(--lane) + ${PLOT_HEIGHT - AXIS_HEIGHT + 3}px)`;
      return limit ? [sliders.makeSlider(report, lane, preset, limit, reach)] : [];
    });
  }

  function drawHistogram({ low, high, bins, width, total, isMeasure }, series, plot, readout, gutter, idle) {
    const bars = uPlot.paths.bars({ size: [1, Infinity], align: 1, gap: 1 });
    const filled = (fill) => ({ paths: bars, fill, stroke: "transparent", width: 0, points: { show: false } });
    const most = Math.max(1, total.reduce((a, b) => Math.max(a, b), 0));
    const chart = new uPlot({
      width: 300, height: PLOT_HEIGHT, padding: [10, 28, 0, 0], legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
      scales: { x: { time: false, range: [low, high] }, y: { range: [0, most * 1.06] } },
      axes: [
        { ...AXIS, size: AXIS_HEIGHT, grid: { show: false }, space: 40 },
        {
          ...AXIS, size: gutter, space: 36, ticks: { show: false },
          values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? format.tick(tick) : "")),
        },
      ],
      series: [{}, filled("#e39a55"), filled("#1b6ca8")],
      hooks: {
        setCursor: [(u) => {
          const bin = Math.floor((u.posToVal(u.cursor.left, "x") - low) / width);
          const inside = u.cursor.left >= 0 && bin >= 0 && bin < bins;
          readout.textContent = inside
            ? `${(isMeasure && bin === bins - 1 ? format.from : format.range)({ low, width }, bin)}: `
              + `${format.plural(total[bin], "video")}, ${format.integer(u.data[2][bin])} kept`
            : idle;
        }],
      },
    }, series, plot);
    readout.textContent = idle;
    new ResizeObserver(() => {
      if (plot.clientWidth) chart.setSize({ width: plot.clientWidth, height: PLOT_HEIGHT });
    }).observe(plot);
    return chart;
  }

  function idleText(column) {
    const known = column.filter((value) => !Number.isNaN(value)).sort();
    return known.length ? `median ${known[known.length >> 1].toFixed(2)}` : "no scores";
  }

  /** Append a chart for each score. */
  function show(report) {
    const gutter = fitGutter(report.presets);
    const all = report.content.scores.map((score) => makeChart(report, score, gutter));
    return { update: () => all.forEach((chart) => chart.update()) };
  }
  return { show };
})();
