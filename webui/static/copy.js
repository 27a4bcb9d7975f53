// Buttons that copy what stands in the element they name; they are hidden until this script is there.
"use strict";

for (const button of document.querySelectorAll("[data-copy]")) {
  const source = document.getElementById(button.dataset.copy);
  button.hidden = false;
  button.addEventListener("click", async () => {
    const text = source.value ?? source.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      select(source);
      button.textContent = "Press Ctrl+C";
    }
  });
}

function select(element) {
  if (element.select) element.select();
  else getSelection().selectAllChildren(element);
}
