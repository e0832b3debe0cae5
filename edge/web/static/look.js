// Looking at images: Enter confirms, typing filters the labels, and the next image is fetched beforehand.
"use strict";
(() => {
  const confirm = document.querySelector("button.confirm");
  const field = document.getElementById("other");
  const list = document.getElementById("all-labels");
  const found = document.getElementById("found");

  const next = document.querySelector("figure.picture")?.dataset.next;
  if (next) new Image().src = `/image/${next}`;

  // One answer an image: a key held down, or pressed while the next page is on its way, must not label what nobody has seen.
  let sent = false;
  const image = document.querySelector("figure.picture img");
  document.addEventListener("submit", (event) => {
    const labels = event.target.getAttribute("action") === "/look/label";
    if (sent || (labels && image && !image.complete)) event.preventDefault();
    else sent = true;
  });
  window.addEventListener("pageshow", () => { sent = false; });

  document.addEventListener("keydown", (event) => {
    if (event.repeat && !event.target.closest("input, select, textarea")) event.preventDefault();
  }, true);

  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.closest("a, button, input, select, textarea, summary, dialog")) return;
    const keysOn = document.getElementById("keys-on");
    if (document.querySelector("dialog[open]") || (keysOn && !keysOn.checked) || !confirm) return;
    event.preventDefault();
    confirm.click();
  });

  if (!field || !list) return;
  const items = [...list.querySelectorAll("li")].map((item) => ({
    item,
    button: item.querySelector("button"),
    text: item.textContent.toLowerCase().replaceAll("_", " "),
  }));
  let shown = items;
  let chosen = -1;

  function choose(at) {
    if (chosen >= 0 && shown[chosen]) shown[chosen].item.classList.remove("chosen");
    chosen = at;
    if (at >= 0) {
      shown[at].item.classList.add("chosen");
      shown[at].item.scrollIntoView({ block: "nearest" });
    }
  }

  function filter() {
    choose(-1);
    const words = field.value.toLowerCase().replaceAll("_", " ").split(/\s+/).filter(Boolean);
    shown = [];
    for (const each of items) {
      const fits = words.every((word) => each.text.includes(word));
      each.item.hidden = !fits;
      if (fits) shown.push(each);
    }
    if (!words.length) found.textContent = "";
    else if (shown.length) found.textContent = `${shown.length} found; Enter gives “${shown[0].button.value}”`;
    else found.textContent = "None of the labels; Enter gives it as one of your own";
    if (words.length && shown.length) choose(0);
  }

  field.addEventListener("input", filter);
  field.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Escape") {
      field.value = "";
      filter();
      field.blur();
      event.preventDefault();
    } else if (event.key === "ArrowDown" && shown.length) {
      choose(Math.min(chosen + 1, shown.length - 1));
      event.preventDefault();
    } else if (event.key === "ArrowUp" && shown.length) {
      choose(Math.max(chosen - 1, 0));
      event.preventDefault();
    } else if (event.key === "Enter" && !event.repeat && chosen >= 0 && field.value.trim()) {
      event.preventDefault();
      shown[chosen].button.click();
    }
  });
})();
