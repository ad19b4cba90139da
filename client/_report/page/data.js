"use strict";
/**
 * What the page was written with. `content`: the JSON document of write.py. `values`: a Float32Array for each score,
 * one value for each scored video. `labelBits`: a Uint32Array, as many words for each scored video as the labels need.
 */
const data = (() => {
  function decoded(id) {
    const element = dom.byId(id);
    const text = element.textContent;
    element.remove(); // frees megabytes
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text).buffer;
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
    return bytes.buffer;
  }
  const content = JSON.parse(dom.byId("content").textContent);
  return {
    content,
    values: Object.fromEntries(content.scores.map((score) => [score, new Float32Array(decoded(`values-${score}`))])),
    labelBits: new Uint32Array(decoded("label-bits")),
  };
})();
