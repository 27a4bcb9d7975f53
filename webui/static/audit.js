// Answering with y and n.
"use strict";

const form = document.getElementById("audit");
if (form) {
  const keys = document.getElementById("keys");
  document.querySelectorAll(".with-js").forEach((part) => { part.hidden = false; });
  keys.checked = localStorage.getItem("audit-keys") !== "off";
  keys.addEventListener("change", () => localStorage.setItem("audit-keys", keys.checked ? "on" : "off"));
  document.addEventListener("keydown", (event) => {
    const value = { y: "yes", n: "no" }[event.key];
    if (!value || !keys.checked || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    form.requestSubmit(form.querySelector(`[value=${value}]`));
  });
}
