"use strict";
/** Finding and making elements. */
const dom = (() => {
  const byId = (id) => document.getElementById(id);

  /** A new element with these properties (`dataset` is merged) and children. */
  function make(tag, properties = {}, ...children) {
    const { dataset, ...rest } = properties;
    const element = Object.assign(document.createElement(tag), rest);
    Object.assign(element.dataset, dataset);
    element.append(...children);
    return element;
  }
  return { byId, make };
})();
