// The result's page: pieces that are asked for when they are opened, and the heat map over the picture.
"use strict";

for (const piece of document.querySelectorAll("details[data-load]")) {
  piece.addEventListener("toggle", () => { if (piece.open) load(piece); });
}

async function load(piece) {
  if (piece.dataset.state) return;
  piece.dataset.state = "loading";
  const place = piece.querySelector(".loaded");
  place.replaceChildren(working());
  try {
    const headers = { Accept: "text/html", "X-Requested-With": "fetch" };
    const response = await fetch(piece.dataset.load, { headers });
    if (response.status === 401) return location.reload(); // to log in, and back
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    place.replaceChildren(...(response.ok ? page.querySelector(".piece").childNodes : [failed(page)]));
    piece.dataset.state = response.ok ? "loaded" : "";
  } catch {
    place.textContent = "The web page cannot be reached. Close this and open it again.";
    piece.dataset.state = "";
  }
  if (piece.id === "why" && piece.dataset.state) showHeat(piece);
}

function working() {
  const bar = document.createElement("progress");
  bar.className = "working";
  bar.setAttribute("aria-label", "Working");
  return bar;
}

function failed(page) {
  const text = page.querySelector(".lead")?.textContent ?? "That could not be shown.";
  return Object.assign(document.createElement("p"), { className: "quiet", textContent: `${text} Close this and open it again.` });
}

// The map lies over the picture with the strength the slider says, and goes when its explanation is closed.
function showHeat(piece) {
  const heat = document.getElementById("heat");
  const slider = document.getElementById("opacity");
  const apply = () => {
    heat.style.opacity = slider.value / 100;
    slider.setAttribute("aria-valuetext", `${slider.value} %`);
  };
  heat.src = heat.dataset.src;
  heat.hidden = false;
  piece.querySelector(".slider").hidden = false;
  slider.addEventListener("input", apply);
  apply();
  piece.addEventListener("toggle", () => { heat.hidden = !piece.open; });
}
