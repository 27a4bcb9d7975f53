// Exports are made one after the other, with the seconds counted, and downloaded then. Without this script the form
// does both.
"use strict";

const queue = new Queue(1);
for (const form of document.querySelectorAll("form.slow")) {
  const button = form.querySelector("button");
  const state = form.closest("li").querySelector(".export-state");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    state.classList.remove("job-error");
    state.textContent = "Waiting for the export before it…";
    const trouble = await queue.add(() => make(form, state));
    button.disabled = false;
    state.textContent = trouble || "Made; it is being downloaded.";
    state.classList.toggle("job-error", Boolean(trouble));
    if (!trouble) form.submit();
  });
}

// What went wrong, "" for nothing. Where another is being made, as by somebody else, this one waits for its turn.
async function make(form, state) {
  const counting = countSeconds(state);
  try {
    for (;;) {
      const response = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { Accept: "application/json" } });
      const answer = await response.json();
      if (!response.ok) return answer.error.message;
      if (!answer.again) return "";
      await new Promise((resolve) => { setTimeout(resolve, answer.again * 1000); });
    }
  } catch {
    return "The web page cannot be reached. Try again.";
  } finally {
    clearInterval(counting);
  }
}

// The seconds are for the eyes: read aloud, each would be said.
function countSeconds(state) {
  const began = Date.now();
  const number = document.createElement("span");
  number.setAttribute("aria-hidden", "true");
  state.replaceChildren("Being made… ", number);
  return setInterval(() => { number.textContent = `${Math.round((Date.now() - began) / 1000)} s`; }, 1000);
}
