"use strict";
/** The answers so far, what is asked now, and the way back. Pure, but for `order` and the time. */
const answering = (() => {
  const { next } = typeof module === "undefined" ? order : require("./order.js");

  class Answers {
    /** rows: each with `features`; answered: [row, yes] pairs that are taken up. */
    constructor(rows, answered = []) {
      this.rows = rows;
      this._answers = new Map(answered);
      this._history = []; // rows in the order in which they were answered or put off since the page was opened
      this._skipped = new Set();
      this._choose();
    }

    /** Say yes or no to the current row. */
    answer(keep) {
      if (this.current === null) return;
      this._answers.set(this.current, keep);
      this._history.push(this.current);
      this._choose();
    }

    /** Ask about the current row again when all others are answered. */
    skip() {
      if (this.current === null) return;
      this._skipped.add(this.current);
      this._history.push(this.current);
      this._choose();
    }

    /** Take the last answer or skip back, and ask about that row again; false if there is none. */
    undo() {
      const row = this._history.pop();
      if (row === undefined) return false;
      this._answers.delete(row);
      this._skipped.delete(row);
      this.current = row;
      return true;
    }

    /** Take up answers from elsewhere. */
    add(answers) {
      for (const [row, keep] of answers) this._answers.set(row, keep);
      if (this.current === null || this._answers.has(this.current)) this._choose();
    }

    /** [row, yes] in the order of the answers. */
    list() {
      return [...this._answers];
    }

    counts() {
      const yes = this.list().filter(([, keep]) => keep).length;
      return { all: this.rows.length, answered: this._answers.size, yes, no: this._answers.size - yes };
    }

    _choose() {
      const without = this.rows.map((_, row) => row).filter((row) => !this._answers.has(row));
      const fresh = without.filter((row) => !this._skipped.has(row));
      if (!fresh.length) this._skipped.clear(); // every one was skipped: they come round again
      this.current = next(this.rows, this._answers, fresh.length ? fresh : without);
    }
  }
  return { Answers };
})();
if (typeof module !== "undefined") module.exports = answering;
