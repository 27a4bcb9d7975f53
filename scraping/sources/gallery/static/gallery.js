"use strict";

const tiles = document.getElementById("tiles");
const sentinel = document.getElementById("sentinel");
const more = document.getElementById("more");
let next = 0;
let loading = false;

function tile(result) {
  const copy = document.getElementById("tile").content.cloneNode(true);
  const figure = copy.querySelector(".tile");
  figure.dataset.full = result.full;
  figure.querySelector("a").href = result.page;
  figure.querySelector("img").src = result.thumbnail;
  figure.querySelector("img").alt = result.title;
  figure.querySelector(".title").textContent = result.title;
  figure.querySelector(".author").textContent = result.author;
  const license = figure.querySelector(".license");
  license.textContent = result.license;
  if (result.license_url) license.href = result.license_url;
  return copy;
}

function finish(total) {
  const ending = document.getElementById(total ? "end-reached" : "nothing-found");
  document.querySelector("main").append(ending.content.cloneNode(true));
}

async function load() {
  if (loading || next === null) return;
  loading = true;
  more.hidden = true;
  observer.unobserve(sentinel);
  const answer = await fetch(`${tiles.dataset.search}&offset=${next}`);
  const batch = await answer.json();
  tiles.append(...batch.tiles.map(tile));
  document.getElementById("summary").textContent = `${batch.total} pictures`;
  next = batch.next;
  loading = false;
  if (next === null) finish(batch.total);
  else if (batch.button) more.hidden = false;
  else observer.observe(sentinel);
}

const observer = new IntersectionObserver((entries) => {
  if (entries.some((entry) => entry.isIntersecting)) load();
}, { rootMargin: "200px" });

more.addEventListener("click", load);
load();
