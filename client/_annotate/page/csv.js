"use strict";
/** Files of answers, as `video-motion learn --annotations` reads them. Pure. */
const csv = (() => {
  const WORDS = {
    yes: true, y: true, 1: true, true: true, keep: true, "1.0": true,
    no: false, n: false, 0: false, false: false, drop: false, "0.0": false,
  };
  const quoted = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

  /** The file of these answers: [row, yes], in their order. */
  function write({ columns, rows, annotator }, answers) {
    const lines = answers.map(([row, keep]) => {
      const { video, part: [start, end] } = rows[row];
      return [video, keep ? "yes" : "no", start ?? "", end ?? "", annotator].map(String).map(quoted).join(",");
    });
    return [columns.join(","), ...lines, ""].join("\n");
  }

  function cellsOf(text) {
    const table = [];
    let line = [];
    let cell = "";
    let inQuotes = false;
    const endCell = () => { line.push(cell); cell = ""; };
    const endLine = () => { endCell(); if (line.length > 1 || line[0]) table.push(line); line = []; };
    for (let i = 0; i < text.length; i++) {
      const c = text[i];
      if (inQuotes) {
        if (c !== '"') cell += c;
        else if (text[i + 1] === '"') { cell += '"'; i++; } else inQuotes = false;
      } else if (c === '"') inQuotes = true;
      else if (c === ",") endCell();
      else if (c === "\n") endLine();
      else if (c !== "\r") cell += c;
    }
    if (cell || line.length) endLine();
    return table;
  }

  /**
   * The answers [row, yes] of this annotator in a file, and how many are about videos that are not asked about. Answers
   * without an annotator count. Throws an Error with a sentence.
   */
  function read({ rows, annotator }, text) {
    const [header = [], ...lines] = cellsOf(text.replace(/^\ufeff/, ""));
    for (const name of ["video", "answer"]) {
      if (!header.includes(name)) throw new Error(`It is not a file of answers: it has no column "${name}".`);
    }
    const number = (value) => (value === undefined || value === "" ? null : Number(value));
    const key = (video, start, end) => JSON.stringify([video, start, end]);
    const known = new Map(rows.map(({ video, part }, row) => [key(video, ...part), row]));
    const found = new Map();
    let unknown = 0;
    lines.forEach((cells, index) => {
      const get = (name) => cells[header.indexOf(name)];
      const keep = WORDS[(get("answer") ?? "").trim().toLowerCase()];
      if (keep === undefined) throw new Error(`Answer ${index + 1} is "${get("answer") ?? ""}", it must be yes or no.`);
      if (get("annotator") && get("annotator") !== annotator) return;
      const row = known.get(key(get("video"), number(get("start_seconds")), number(get("end_seconds"))));
      if (row === undefined) unknown++;
      else { found.delete(row); found.set(row, keep); }
    });
    return { answers: [...found], unknown };
  }
  return { write, read };
})();
if (typeof module !== "undefined") module.exports = csv;
