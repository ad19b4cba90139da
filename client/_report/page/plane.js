"use strict";
/** Camera against object movement: cells where videos are many, points where they are few, and the presets' regions. */
const plane = (() => {
  const { byId } = dom;
  const MOST_POINTS = 4000;
  const FEW = 6; // a cell with fewer videos shows each as a point
  const KEPT = [27, 108, 168];
  const DROPPED = [217, 115, 13];
  const REGION = "#7a3a00";
  const SHOWN = ["camera", "object"];
  const FAMILY = "system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif";
  const FONT = `12px ${FAMILY}`;
  const AXIS = {
    stroke: "#55616e", font: FONT, labelFont: FONT, labelSize: 20, labelGap: 0,
    grid: { stroke: "#f1f3f5", width: 1 }, ticks: { stroke: "#dfe3e8", size: 4 },
  };
  const rgba = ([r, g, b], alpha) => `rgba(${r}, ${g}, ${b}, ${alpha})`;

  /** The videos to draw as points: all if they are few, else an even sample of those in sparse cells. */
  function pointsOf({ grid, counts }) {
    const points = [];
    for (let i = 0; i < counts.scored; i++) {
      if (counts.scored <= MOST_POINTS || grid.total[grid.cell[i]] < FEW) points.push(i);
    }
    const stride = Math.ceil(points.length / MOST_POINTS);
    return points.filter((_, index) => index % stride === 0);
  }

  function drawCells({ counts, grid, histograms: { camera, object } }, ctx, x, y) {
    const densest = grid.total.reduce((most, number) => Math.max(most, number), 0);
    const logarithm = Math.log(densest / FEW + 1);
    for (let row = 0; row < grid.rows; row++) {
      const top = Math.round(y(object.low + (row + 1) * object.width));
      const bottom = Math.round(y(object.low + row * object.width));
      for (let column = 0; column < grid.columns; column++) {
        const index = row * grid.columns + column;
        const total = grid.total[index];
        if (total < FEW) continue;
        const left = Math.round(x(camera.low + column * camera.width));
        const right = Math.round(x(camera.low + (column + 1) * camera.width));
        const alpha = 0.16 + 0.8 * (Math.log(total / FEW + 1) / logarithm) ** 1.25;
        ctx.fillStyle = rgba(2 * counts.keptInCell[index] >= total ? KEPT : DROPPED, alpha.toFixed(3));
        ctx.fillRect(left, top, right - left, bottom - top);
      }
    }
  }

  function drawPoints({ counts, values }, points, ctx, x, y, ratio) {
    const many = counts.scored > MOST_POINTS;
    const size = (many ? 2 : counts.scored > 500 ? 3 : 5) * ratio;
    const passes = [[false, rgba(KEPT, many ? 0.4 : 0.65)], [true, rgba(DROPPED, many ? 0.5 : 0.75)]];
    for (const [dropped, fill] of passes) {
      ctx.fillStyle = fill;
      for (const i of points) {
        if (counts.isDropped(i) !== dropped) continue;
        ctx.fillRect(x(values.camera[i]) - size / 2, y(values.object[i]) - size / 2, size, size);
      }
    }
  }

  /** A preset's name, with an asterisk if it has a limit that the plane cannot show. */
  const nameOf = (preset) => `${preset.name}${hiddenLimits(preset).length ? "*" : ""}`;

  const hiddenLimits = (preset) => preset.limits.filter(({ score }) => !SHOWN.includes(score));

  /** What the asterisks stand for, or nothing if there are none. */
  function footnote(presets) {
    const drawn = presets.filter((preset) => preset.on && hasRegion(preset));
    const sentences = [...new Set(drawn.flatMap(hiddenLimits).map(({ score }) => score))].map((score) => {
      const hidden = drawn.filter((preset) => counting.limitOf(preset, score)).map((preset) => {
        const limit = counting.limitOf(preset, score);
        return `${preset.name} ${limit.side === "below" ? "<" : ">"} ${format.cutoff(limit.cutoff)}`;
      });
      return `The preset also limits ${score}: ${hidden.join(", ")}.`;
    });
    return sentences.length ? `* ${sentences.join(" ")}` : "";
  }

  /** Whether a preset limits what the plane shows at all; a learned filter does not. */
  const hasRegion = (preset) => SHOWN.some((score) => counting.limitOf(preset, score));

  function drawRegions({ presets, histograms }, ctx, bbox, x, y, ratio) {
    ctx.strokeStyle = REGION;
    ctx.fillStyle = REGION;
    ctx.font = `600 ${12 * ratio}px ${FAMILY}`;
    ctx.textAlign = "left";
    ctx.textBaseline = "alphabetic";
    ctx.lineJoin = "round";
    for (const preset of presets.filter((each) => each.on && hasRegion(each))) {
      const edges = {};
      for (const score of SHOWN) {
        const { low, high } = histograms[score];
        const limit = counting.limitOf(preset, score);
        // Without a limit an edge lies beyond the plot, which clips it.
        const start = limit?.side === "above" ? limit.cutoff : low - 1;
        edges[score] = [start, limit?.side === "below" ? limit.cutoff : high + 1];
      }
      const [left, right] = edges.camera.map(x);
      const [bottom, top] = edges.object.map(y);
      ctx.lineWidth = 1.5 * ratio;
      ctx.setLineDash([5 * ratio, 4 * ratio]);
      ctx.strokeRect(left, top, right - left, bottom - top);
      drawName(nameOf(preset), { left, right, top }, ctx, bbox, ratio);
    }
  }

  /** Write a name in the region's upper right corner; from its left edge if it is wider; always inside the plot. */
  function drawName(name, region, ctx, bbox, ratio) {
    const width = ctx.measureText(name).width;
    const gap = 5 * ratio;
    const end = bbox.left + bbox.width;
    const inRegion = Math.max(Math.max(region.left, bbox.left) + gap, Math.min(region.right, end) - width - gap);
    const left = Math.min(inRegion, end - width - gap);
    const baseline = Math.max(region.top, bbox.top) + 16 * ratio;
    ctx.save();
    ctx.setLineDash([]);
    ctx.lineWidth = 4 * ratio;
    ctx.strokeStyle = "rgba(255, 255, 255, .85)";
    ctx.strokeText(name, left, baseline);
    ctx.fillText(name, left, baseline);
    ctx.restore();
  }

  /** Draw the plane, with a readout for the cell under the pointer and a footnote for the limits it cannot show. */
  function show(report) {
    const { histograms: { camera, object }, grid, counts } = report;
    const element = byId("plane");
    const readout = byId("plane-readout");
    const many = counts.scored > MOST_POINTS;
    const idle = format.plural(counts.scored, "video") + (many ? "; darker cells hold more" : "");
    const points = pointsOf(report);
    function draw(u) {
      const { ctx, bbox } = u;
      const ratio = uPlot.pxRatio;
      const x = (value) => u.valToPos(value, "x", true);
      const y = (value) => u.valToPos(value, "y", true);
      ctx.save();
      ctx.beginPath();
      ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
      ctx.clip();
      if (many) drawCells(report, ctx, x, y);
      drawPoints(report, points, ctx, x, y, ratio);
      drawRegions(report, ctx, bbox, x, y, ratio);
      ctx.restore();
    }
    function describe(u) {
      const column = Math.floor((u.posToVal(u.cursor.left, "x") - camera.low) / camera.width);
      const row = Math.floor((u.posToVal(u.cursor.top, "y") - object.low) / object.width);
      if (!(u.cursor.left >= 0 && column >= 0 && column < grid.columns && row >= 0 && row < grid.rows)) return idle;
      const index = row * grid.columns + column;
      return `camera ${format.range(camera, column)}, object ${format.range(object, row)}: `
        + `${format.plural(grid.total[index], "video")}, ${format.integer(counts.keptInCell[index])} kept`;
    }
    const chart = new uPlot({
      width: 300, height: 300, padding: [8, 14, 0, 0], legend: { show: false },
      cursor: { points: { show: false }, drag: { x: false, y: false } },
      scales: { x: { time: false, range: [camera.low, camera.high] }, y: { range: [object.low, object.high] } },
      axes: [{ ...AXIS, label: "camera", size: 28 }, { ...AXIS, label: "object", size: 36 }],
      series: [{}, { show: true, paths: () => null, points: { show: false } }],
      hooks: { draw: [draw], setCursor: [(u) => { readout.textContent = describe(u); }] },
    }, [[camera.low, camera.high], [null, null]], element);
    readout.textContent = idle;
    new ResizeObserver(() => {
      const width = element.clientWidth - 14;
      if (width > 0) chart.setSize({ width, height: Math.round(Math.min(460, Math.max(280, width * 0.72))) });
    }).observe(element);
    return {
      update() {
        byId("plane-footnote").textContent = footnote(report.presets);
        chart.redraw(false);
      },
    };
  }
  return { show };
})();
