"use strict";
/** The buttons that copy a command: `data-copy` holds the id of the element with the text. */
const clipboard = (() => {
  const { byId } = dom;
  const SHOWN_MS = 2000;
  let timer;

  function say(text) {
    byId("status").textContent = text;
    clearTimeout(timer);
    timer = setTimeout(() => { byId("status").textContent = ""; }, SHOWN_MS);
  }

  async function copy(element) {
    try {
      await navigator.clipboard.writeText(element.textContent);
      return true;
    } catch { // not allowed in this browser or context: the old way, by selection
      getSelection().selectAllChildren(element);
      return document.execCommand("copy");
    }
  }

  function connect() {
    for (const button of document.querySelectorAll("[data-copy]")) {
      button.addEventListener("click", async () => {
        say(await copy(byId(button.dataset.copy)) ? "Copied" : "Copying is blocked; the command is selected");
      });
    }
  }
  return { connect };
})();
