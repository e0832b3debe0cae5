// The first page, kept up to date: the server sends the parts that changed, ready as HTML that it has escaped itself.
"use strict";
(() => {
  const connection = document.getElementById("connection");
  const silentMilliseconds = 20000;
  let source = null;
  let heard = Date.now();
  let again = null;

  function say(words) {
    connection.textContent = words;
    connection.hidden = !words;
    document.body.classList.toggle("lost", Boolean(words));
  }

  function lost() {
    say(`Connection lost: these are the numbers of ${new Date(heard).toISOString().slice(11, 19)} UTC. Trying again.`);
  }

  // Elements with the same data-id stay as they are, so that pictures do not flicker and the focus is kept.
  function put(place, html) {
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    const old = new Map([...place.querySelectorAll("[data-id]")].map((each) => [each.dataset.id, each]));
    for (const each of fresh.content.querySelectorAll("[data-id]")) {
      const before = old.get(each.dataset.id);
      if (before && before.outerHTML === each.outerHTML) each.replaceWith(before);
    }
    const focused = document.activeElement && place.contains(document.activeElement) ? document.activeElement : null;
    place.replaceChildren(fresh.content);
    if (focused && focused.isConnected) focused.focus({ preventScroll: true });
  }

  function show(name, html) {
    const place = document.querySelector(`[data-live="${name}"]`);
    if (place) put(place, html);
  }

  let pictures = null;
  function later(name, html, milliseconds) {
    clearTimeout(pictures);
    pictures = setTimeout(() => show(name, html), milliseconds);
  }

  function listen() {
    clearTimeout(again);
    if (source) source.close();
    source = new EventSource("/events");
    source.addEventListener("now", (event) => {
      heard = Date.now();
      say("");
      const told = JSON.parse(event.data);
      for (const [name, html] of Object.entries(told.parts)) {
        // With many readers aboard the browsers fetch new pictures one after another, not all at once.
        if (name === "latest" && told.spread > 1) later(name, html, told.spread * 1000 * Math.random());
        else show(name, html);
      }
    });
    source.addEventListener("error", () => {
      lost();
      if (source.readyState === EventSource.CLOSED) again = setTimeout(listen, 5000); // refused, not cut: it does not retry
    });
  }

  setInterval(() => {
    if (!document.hidden && Date.now() - heard > silentMilliseconds) {
      lost();
      if (!again) again = setTimeout(() => { again = null; listen(); }, 5000);
    }
  }, 2000);

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      source.close();
    } else {
      heard = Date.now();
      listen();
    }
  });
  listen();
})();
