// On every page: colours without loading anew, single keys, and the list of them.
//
// An element with data-key="x" is clicked (a field: focused) when x is pressed. The list of keys is made from these; its words
// are data-help, else the label or text. Of two with one key the one in the content comes first. A page that acts on keys of its
// own listens itself and puts them into the list with an element that has data-key, data-help and data-listed.
"use strict";
(() => {
  const root = document.documentElement;
  const year = 31536000;

  function remember(name, value) {
    document.cookie = `${name}=${value}; path=/; max-age=${year}; samesite=strict`;
  }

  function remembered(name) {
    const found = document.cookie.split("; ").find((part) => part.startsWith(name + "="));
    return found ? found.slice(name.length + 1) : null;
  }

  function setTheme(name) {
    if (name === "auto") delete root.dataset.theme;
    else root.dataset.theme = name;
    const scheme = { auto: "light dark", light: "light" }[name] || "dark";
    document.querySelector("meta[name=color-scheme]").content = scheme;
    remember("planktow_theme", name);
    for (const button of document.querySelectorAll("button.theme")) {
      button.setAttribute("aria-pressed", String(button.value === name));
    }
    document.dispatchEvent(new CustomEvent("planktow:theme", { detail: name }));
  }

  const themes = [...document.querySelectorAll("button.theme")];
  for (const button of themes) {
    button.addEventListener("click", (event) => {
      event.preventDefault();
      setTheme(button.value);
    });
  }

  function nextTheme() {
    const at = themes.findIndex((button) => button.getAttribute("aria-pressed") === "true");
    setTheme(themes[(at + 1) % themes.length].value);
  }

  function keyed() {
    const content = [...document.querySelectorAll("main [data-key]")];
    const frame = [...document.querySelectorAll("[data-key]")].filter((each) => !each.closest("main"));
    const found = new Map();
    for (const each of [...content, ...frame]) {
      if (!found.has(each.dataset.key) && !each.disabled && !each.closest("[hidden]")) found.set(each.dataset.key, each);
    }
    return found;
  }

  const help = document.getElementById("help");
  const keysOn = document.getElementById("keys-on");
  keysOn.checked = remembered("planktow_keys") !== "off";
  keysOn.addEventListener("change", () => remember("planktow_keys", keysOn.checked ? "on" : "off"));

  function showHelp() {
    const list = document.getElementById("help-keys");
    list.replaceChildren();
    const lines = [...keyed()].map(([key, each]) => [
      key,
      each.dataset.help || each.getAttribute("aria-label") || each.textContent.trim(),
    ]);
    const colours = keyed().has("c") ? [] : [["c", "Next colours"]];
    for (const [key, words] of [...lines, ...colours, ["?", "These keys"], ["Esc", "Close"]]) {
      const term = document.createElement("dt");
      const cap = document.createElement("kbd");
      cap.textContent = key;
      term.append(cap);
      const said = document.createElement("dd");
      said.textContent = words;
      list.append(term, said);
    }
    help.showModal();
  }

  const helpButton = document.getElementById("help-button");
  helpButton.hidden = false;
  helpButton.addEventListener("click", showHelp);

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
    if (event.target.closest("input:not([type=checkbox]):not([type=radio]), select, textarea, [contenteditable]")) return;
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "?") {
      event.preventDefault();
      showHelp();
      return;
    }
    if (!keysOn.checked) return;
    const found = keyed().get(event.key);
    if (found && !("listed" in found.dataset)) {
      event.preventDefault();
      if (found.matches("input, select, textarea")) found.focus();
      else found.click();
    } else if (!found && event.key === "c") {
      nextTheme();
    }
  });
})();
