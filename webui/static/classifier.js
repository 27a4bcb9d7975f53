// Exports are made one after the other, with the seconds counted, and downloaded then. Without this script the form
// does both.
"use strict";

const TRIES = 100; // of a few seconds each

const queue = new Queue(1);
for (const form of document.querySelectorAll("form.slow")) {
  const button = form.querySelector("button");
  const state = form.closest("li").querySelector(".export-state");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    state.classList.remove("job-error");
    state.textContent = "Waiting for the export before it…";
    const { made, trouble } = await queue.add(() => make(form, state));
    button.disabled = false;
    state.textContent = trouble || "Made; it is being downloaded.";
    state.classList.toggle("job-error", Boolean(trouble));
    if (made) download(made);
  });
}

// Its address, or what went wrong. Where another is being made, as by somebody else, this one waits for its turn.
async function make(form, state) {
  const counting = countSeconds(state);
  try {
    for (let tried = 0; tried < TRIES; tried += 1) {
      const response = await fetch(form.action, { method: "POST", body: new FormData(form), headers: { Accept: "application/json" } });
      const answer = await response.json();
      if (!response.ok) return { trouble: answer.error.message };
      if (answer.made) return { made: answer.made };
      await new Promise((resolve) => { setTimeout(resolve, answer.again * 1000); });
    }
    return { trouble: "Other exports are still being made. Try again later." };
  } catch {
    return { trouble: "The web page cannot be reached. Try again." };
  } finally {
    clearInterval(counting);
  }
}

// A form that is sent, as any change of page, would cancel the download before it that has not begun.
function download(url) {
  Object.assign(document.createElement("a"), { href: url, download: "" }).click();
}

// The seconds are for the eyes: read aloud, each would be said.
function countSeconds(state) {
  const began = Date.now();
  const number = document.createElement("span");
  number.setAttribute("aria-hidden", "true");
  state.replaceChildren("Being made… ", number);
  return setInterval(() => { number.textContent = `${Math.round((Date.now() - began) / 1000)} s`; }, 1000);
}
