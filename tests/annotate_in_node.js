"use strict";
// Runs the annotation page's logic on standard input, a JSON object as tests/test_annotate.py writes it.
const path = require("node:path");
const page = (name) => require(path.join(__dirname, "..", "client", "_annotate", "page", name));
const order = page("order.js");
const { Answers } = page("answers.js");
const csv = page("csv.js");

const TASKS = {
  /** Answer by a rule until there are so many answers; the rows in the order they were asked. */
  ask({ rows, good, count, answered }) {
    const answers = new Answers(rows, answered ?? []);
    const asked = [];
    while (asked.length < count && answers.current !== null) {
      asked.push(answers.current);
      answers.answer(good[answers.current]);
    }
    const learned = order.learn(rows, new Map(answers.list()));
    return { asked, current: answers.current, counts: answers.counts(), said: rows.map((_, row) => learned(row)) };
  },
  /** Steps such as "yes", "no", "skip", "undo", [[row, yes], ...]; what is asked and counted after each. */
  steps({ rows, steps }) {
    const answers = new Answers(rows);
    return steps.map((step) => {
      let did = null;
      if (step === "yes" || step === "no") answers.answer(step === "yes");
      else if (step === "skip") answers.skip();
      else if (step === "undo") did = answers.undo();
      else answers.add(step);
      return { current: answers.current, list: answers.list(), did };
    });
  },
  write: ({ content, answers }) => csv.write(content, answers),
  read({ content, text }) {
    try {
      return csv.read(content, text);
    } catch (error) {
      return { error: error.message };
    }
  },
};

const { task, ...input } = JSON.parse(require("node:fs").readFileSync(0, "utf8"));
process.stdout.write(JSON.stringify(TASKS[task](input)));
