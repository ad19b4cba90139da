"use strict";
/** Shows one video after the other; keys and buttons answer. Each change goes through `changed`. */
(() => {
  const { byId } = dom;
  const content = JSON.parse(byId("content").textContent);
  const { rows } = content;
  const NEEDED = 30; // answers that `learn` takes at least
  const storage = `video-motion-annotate-${content.id}`;
  const answers = new answering.Answers(rows, content.answered);
  let saving = Promise.resolve();
  let shown = null;

  const KEYS = {
    y: () => answer(true), ArrowRight: () => answer(true),
    n: () => answer(false), ArrowLeft: () => answer(false),
    u: undo, Backspace: undo, s: skip,
  };

  function answer(keep) {
    if (answers.current === null) return;
    answers.answer(keep);
    changed();
  }

  function skip() {
    answers.skip();
    show();
  }

  function undo() {
    if (answers.undo()) changed();
  }

  function changed() {
    save();
    show();
  }

  /** With the command still running, it writes the file; otherwise the browser keeps the answers. */
  function save() {
    const list = JSON.stringify(answers.list());
    if (!content.isServed) {
      try {
        localStorage.setItem(storage, list);
        say("Kept in this browser. Export them when you are done.");
      } catch {
        say("This browser keeps nothing: export before you close the page.", true);
      }
      return;
    }
    saving = saving.then(async () => {
      try {
        const response = await fetch("answers", { method: "POST", body: list });
        if (!response.ok) throw new Error(await response.text());
        say(`Saved in ${content.fileName}`);
      } catch (error) {
        const why = error instanceof TypeError ? "the command has ended" : error.message;
        say(`Not saved: ${why}. Export your answers.`, true);
      }
    });
  }

  function say(text, isProblem = false) {
    byId("status").textContent = text;
    byId("status").classList.toggle("is-problem", isProblem);
  }

  function show() {
    const { all, answered, yes, no } = answers.counts();
    byId("counts").textContent = `${format.integer(answered)} of ${format.integer(all)} answered`;
    byId("yes-count").textContent = format.integer(yes);
    byId("no-count").textContent = format.integer(no);
    byId("meter").style.width = `${all ? (100 * answered) / all : 0}%`;
    byId("need").textContent = answered < NEEDED ? `${NEEDED - answered} more to learn from` : "enough to learn from";
    const done = answers.current === null;
    byId("asking").hidden = done;
    byId("done").hidden = !done;
    if (done || shown === answers.current) return;
    shown = answers.current;
    const { video, part: [start, end], mp4, reason } = rows[shown];
    const isPart = start !== null || end !== null;
    byId("name").textContent = video.split("/").pop() + (isPart ? `, ${start ?? 0} to ${end ?? "end"} s` : "");
    byId("name").title = video;
    const player = byId("player");
    player.hidden = !mp4;
    byId("reason").hidden = Boolean(mp4);
    byId("reason").textContent = mp4 ? "" : `There is no preview: ${reason}.`;
    if (mp4) {
      player.src = `data:video/mp4;base64,${mp4}`;
      player.play().catch(() => {}); // rejected if the next one comes before it started
    } else player.removeAttribute("src");
  }

  function exportFile() {
    const link = dom.make("a", { download: content.fileName });
    link.href = URL.createObjectURL(new Blob([csv.write(content, answers.list())], { type: "text/csv" }));
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  async function importFile() {
    const [file] = byId("import").files;
    if (!file) return;
    byId("import").value = "";
    try {
      const { answers: found, unknown } = csv.read(content, await file.text());
      answers.add(found);
      changed();
      const rest = unknown ? ` ${format.plural(unknown, "answer")} about videos that are not asked about.` : "";
      byId("taken").textContent = `Took up ${format.plural(found.length, "answer")}.${rest}`;
    } catch (error) {
      byId("taken").textContent = error.message;
    }
  }

  function takeUpKept() {
    if (content.isServed) return;
    try {
      answers.add(JSON.parse(localStorage.getItem(storage) ?? "[]"));
    } catch { /* blocked, or not ours */ }
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return; // a held key is one answer
    if (event.target.closest("input")) return;
    const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  byId("yes").addEventListener("click", () => answer(true));
  byId("no").addEventListener("click", () => answer(false));
  byId("undo").addEventListener("click", undo);
  byId("skip").addEventListener("click", skip);
  byId("export").addEventListener("click", exportFile);
  byId("import").addEventListener("change", importFile);
  byId("finish").hidden = !content.isServed;
  byId("finish").addEventListener("click", async () => {
    await saving;
    try {
      await fetch("finish", { method: "POST" });
      say("Finished: the command has ended. You can close this page.");
    } catch {
      say("The command has ended before.", true);
    }
  });
  byId("question").textContent = content.question;
  byId("annotator").textContent = content.annotator;
  byId("learn-command").textContent = content.learnCommand;
  takeUpKept();
  show();
  document.documentElement.dataset.ready = "true";
})();
