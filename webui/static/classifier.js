// A button whose download has to be made first says so, once.
"use strict";

for (const form of document.querySelectorAll("form.slow")) {
  form.addEventListener("submit", () => {
    const button = form.querySelector("button");
    button.textContent = "Being made…";
    setTimeout(() => { button.disabled = true; });
    setTimeout(() => { button.disabled = false; button.textContent = "Make again"; }, 60000);
  });
}
