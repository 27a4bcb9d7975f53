// An export is made first, with the seconds counted, and downloaded then. Without this script the form does both.
"use strict";

for (const form of document.querySelectorAll("form.slow")) {
  const button = form.querySelector("button");
  const state = form.closest("li").querySelector(".export-state");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    const counting = countSeconds(state);
    const trouble = await make(form);
    clearInterval(counting);
    button.disabled = false;
    state.textContent = trouble || "Made; it is being downloaded.";
    state.classList.toggle("job-error", Boolean(trouble));
    if (!trouble) form.submit();
  });
}

// What went wrong, "" for nothing.
async function make(form) {
  try {
    const response = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { Accept: "application/json" } });
    return response.ok ? "" : (await response.json()).error.message;
  } catch {
    return "The web page cannot be reached. Try again.";
  }
}

// The seconds are for the eyes: read aloud, each would be said.
function countSeconds(state) {
  const began = Date.now();
  const number = document.createElement("span");
  number.setAttribute("aria-hidden", "true");
  state.classList.remove("job-error");
  state.replaceChildren("Being made… ", number);
  return setInterval(() => { number.textContent = `${Math.round((Date.now() - began) / 1000)} s`; }, 1000);
}
