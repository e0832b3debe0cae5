// The list of species: those whose name, group or label holds what was typed.
"use strict";
(() => {
  const find = document.getElementById("find");
  if (!find) return;
  find.closest("p").hidden = false;
  find.addEventListener("input", () => {
    const wanted = find.value.trim().toLowerCase();
    for (const each of document.querySelectorAll("#species tbody tr, .absent li")) {
      each.hidden = !each.textContent.toLowerCase().includes(wanted);
    }
  });
})();
