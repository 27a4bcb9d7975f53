// The page of an archive: its parts are asked for one after the other, four at a time, and shown as they come.
"use strict";

const many = document.getElementById("many");
if (many?.dataset.parts) streamParts();

function streamParts() {
  const [total, part] = [Number(many.dataset.total), Number(many.dataset.part)];
  const first = new URLSearchParams(location.search).get("start");
  document.querySelectorAll(".without-js").forEach((element) => { element.hidden = true; });
  const list = document.getElementById("tiles");
  const tally = new Tally(total);
  if (first && first !== "0") list.replaceChildren();
  countShown(list, tally);
  const queue = new Queue(4);
  const starts = [];
  for (let start = list.children.length; start < total; start += part) starts.push(start);
  const tiles = Array.from({ length: total - list.children.length }, () => newTile(""));
  const offset = list.children.length;
  list.append(...tiles);
  starts.forEach((start) => queue.add(() => onePart(start)));
  tally.show();

  async function onePart(start) {
    const size = Math.min(part, total - start);
    let entries;
    try {
      entries = (await askPatiently(`${many.dataset.parts}?start=${start}`)).results;
    } catch (error) {
      entries = Array.from({ length: size }, () => ({ error, name: "" }));
    }
    entries.forEach((entry, i) => {
      const tile = tiles[start + i - offset];
      tile.querySelector(".tile-name").textContent = entry.name;
      showInTile(tile, entry);
    });
    tally.add(entries);
  }
}

function countShown(list, tally) {
  for (const tile of list.children) {
    tally.count(tile.dataset.top, tile.querySelector(".tile-top").textContent.trim());
  }
  tally.done = tally.first = list.children.length;
  tally.always = !document.getElementById("many-always").hidden;
}
