// Runs before Plotly, which puts the style of its maps (which we never draw) into the page when it is loaded. The page's policy
// forbids that, and the browser would report it each time. time.js puts things back.
"use strict";
document.head.appendChild = function (node) {
  return node.nodeName === "STYLE" ? node : Node.prototype.appendChild.call(this, node);
};
