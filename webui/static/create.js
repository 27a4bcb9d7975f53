// The create form, better: each class becomes a chip. Without this script the names stand in one field.
"use strict";

const form = document.getElementById("create");
if (form) start(form);

function start(form) {
  const input = document.getElementById("classes");
  const list = document.getElementById("chosen");
  const chosen = [];
  let pressing = false;
  form.querySelectorAll(".with-js").forEach((part) => { part.hidden = false; });
  add(input.value);

  input.addEventListener("input", () => { if (/[,\n]/.test(input.value)) add(input.value); });
  input.addEventListener("blur", () => { if (!pressing) add(input.value); });
  // chips that came between press and release would move what was pressed from under the pointer
  document.addEventListener("mousedown", () => { pressing = true; }, true);
  // where something is dragged, or a menu opens, no mouseup comes
  for (const end of ["mouseup", "dragend", "contextmenu"]) document.addEventListener(end, released, true);
  input.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "Enter" && input.value.trim()) { event.preventDefault(); add(input.value); }
    if (event.key === "Backspace" && !input.value && chosen.length) remove(chosen.length - 1);
  });
  input.addEventListener("paste", (event) => {
    const text = event.clipboardData?.getData("text") ?? "";
    if (/[\n,]/.test(text)) { event.preventDefault(); add(`${input.value}${text}`); }
  });
  form.addEventListener("submit", () => add(input.value));

  function released() {
    pressing = false;
    if (document.activeElement !== input) setTimeout(() => add(input.value));
  }

  function add(text) {
    const names = text.split(/[,\n]/).map((name) => name.trim().replace(/\s+/g, " ")).filter(Boolean);
    const known = new Set(chosen.map((name) => name.toLowerCase()));
    for (const name of names) if (!known.has(name.toLowerCase())) { chosen.push(name); known.add(name.toLowerCase()); }
    if (names.length || text) { input.value = ""; draw(); }
  }

  function remove(place) {
    chosen.splice(place, 1);
    draw();
    input.focus();
  }

  function draw() {
    list.hidden = !chosen.length;
    input.placeholder = chosen.length ? "another one" : "cat, dog, rabbit";
    list.replaceChildren(...chosen.map((name, place) => chip(name, () => remove(place))));
  }
}

function chip(name, remove) {
  const item = document.createElement("li");
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: "×" });
  button.setAttribute("aria-label", `Remove ${name}`);
  button.addEventListener("click", remove);
  const field = Object.assign(document.createElement("input"), { type: "hidden", name: "classes", value: name });
  item.append(name, button, field);
  return item;
}
