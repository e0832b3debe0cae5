// Loads the page's content anew every few seconds, unless somebody is at work in it.
"use strict";
setInterval(async () => {
  const main = document.getElementById("main");
  if (document.hidden || main.contains(document.activeElement) && document.activeElement !== main) return;
  try {
    const answer = await fetch(location.href);
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("main");
    if (fresh) main.replaceChildren(...fresh.childNodes);
    document.body.classList.remove("lost");
  } catch {
    document.body.classList.add("lost");
  }
}, 5000);
