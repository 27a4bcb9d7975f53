// How pictures and their answers look: a row for one of a few, a tile for one of many.
"use strict";

function newRow(name, file) {
  const row = document.getElementById("job").content.firstElementChild.cloneNode(true);
  const thumb = row.querySelector(".thumb");
  thumb.hidden = !file;
  if (file) showFile(thumb, file);
  row.querySelector(".job-name").textContent = name;
  return row;
}

function showFile(thumb, file) {
  thumb.addEventListener("error", () => exchange(thumb), { once: true }); // such as HEIC, often not before one scrolls there
  thumb.addEventListener("load", () => URL.revokeObjectURL(thumb.src), { once: true });
  thumb.src = URL.createObjectURL(file);
}

function exchange(thumb) {
  URL.revokeObjectURL(thumb.src);
  thumb.hidden = !thumb.dataset.kept;
  if (thumb.dataset.kept) thumb.src = thumb.dataset.kept;
  else thumb.removeAttribute("src");
}

// The page's own copy, where the browser cannot show the file itself.
function showKept(place, picture) {
  const thumb = place.querySelector(".thumb");
  thumb.dataset.kept = picture;
  if (!thumb.hasAttribute("src")) thumb.src = picture;
  thumb.hidden = false;
}

function showResult(row, { result, url, picture, from_cache: fromCache, says_none: saysNone }) {
  const bars = row.querySelector(".bars");
  bars.replaceChildren(...result.predictions.map(newBar));
  bars.hidden = false;
  bars.classList.toggle("unlike", result.none_of_these);
  row.querySelector(".job-unlike").hidden = !result.none_of_these;
  row.querySelector(".job-always").hidden = saysNone;
  setText(row, ".job-top", headline(result));
  const link = Object.assign(document.createElement("a"), { href: url, textContent: "Open this result" });
  setText(row, ".job-more", "").append(link, fromCache ? " · answered from the cache" : "");
  showKept(row, picture);
  row.dataset.result = url;
}

// What leads to a batch, which has a page of its own.
function showBatch(row, url) {
  setText(row, ".job-more", "").append(Object.assign(document.createElement("a"), { href: url, textContent: "Open its pictures" }));
}

function showProgress(row, fraction) {
  const bar = row.querySelector("progress");
  bar.classList.toggle("working", fraction >= 1);
  if (fraction >= 1) bar.removeAttribute("value");
  else bar.value = fraction;
}

function newBar(prediction) {
  const bar = document.getElementById("bar").content.firstElementChild.cloneNode(true);
  const progress = bar.querySelector("progress");
  bar.querySelector(".bar-name").textContent = prediction.class;
  bar.querySelector(".bar-number").textContent = confidence(prediction.confidence);
  progress.value = prediction.confidence;
  progress.setAttribute("aria-label", `Confidence in ${prediction.class}`);
  return bar;
}

function setText(row, part, value) {
  const element = row.querySelector(part);
  element.textContent = value;
  element.hidden = false;
  return element;
}

function newTile(name, file) {
  const tile = document.getElementById("tile").content.firstElementChild.cloneNode(true);
  tile.querySelector(".tile-name").textContent = name;
  if (file) showFile(tile.querySelector(".thumb"), file);
  return tile;
}

function showInTile(tile, { result, url, picture, error }) {
  const top = tile.querySelector(".tile-top");
  tile.classList.remove("waiting");
  tile.classList.toggle("failed", Boolean(error));
  top.textContent = error ? sentence(error.message) : `${headline(result)} `;
  const thumb = tile.querySelector(".thumb");
  thumb.hidden = Boolean(error) && !thumb.hasAttribute("src");
  if (error) return;
  if (!result.none_of_these) top.append(newNumber(result.confidence));
  tile.dataset.top = headline(result);
  tile.querySelector("a").href = url;
  showKept(tile, picture);
}

function newNumber(probability) {
  return Object.assign(document.createElement("span"), { className: "quiet", textContent: confidence(probability) });
}

const REASONS = 3; // why pictures could not be classified, said above many

// What stands above many tiles: how far it is, how fast, and how often each class was the answer.
class Tally {
  constructor(total) {
    this.total = total;
    this.done = 0;
    this.counts = new Map();
    this.failures = new Map(); // how many for each reason
    this.began = performance.now();
    this.first = 0;
    this.hidden = false;
    this.always = false; // never says "none of these"
  }

  // Count on, but show nothing: another has this place.
  hide() {
    this.hidden = true;
  }

  add(entries) {
    this.done += entries.length;
    for (const { result, error, says_none: saysNone } of entries) {
      if (saysNone === false) this.always = true;
      this.count(result && headline(result), error?.message);
    }
    this.show();
  }

  // One more answer, or reason why there is none.
  count(answer, reason) {
    const [where, key] = answer ? [this.counts, answer] : [this.failures, firstSentence(reason)];
    where.set(key, (where.get(key) ?? 0) + 1);
  }

  show(ended = "") {
    if (this.hidden) return;
    const bar = document.getElementById("many-progress");
    bar.hidden = this.done >= this.total || Boolean(ended);
    bar.value = this.done / this.total;
    document.getElementById("many-words").textContent = ended || this.words();
    document.getElementById("many-always").hidden = !this.always;
    const chips = [...this.counts].sort((a, b) => b[1] - a[1]).map(([name, n]) => {
      return Object.assign(document.createElement("li"), { textContent: `${name} ${n}` });
    });
    document.getElementById("many-counts").replaceChildren(...chips);
  }

  words() {
    const failed = this.failedWords();
    if (this.done >= this.total) return `All ${this.total} are done.${failed}`;
    const rate = (this.done - this.first) / ((performance.now() - this.began) / 1000);
    const left = rate > 0 ? `, ${rate.toFixed(0)} a second, about ${seconds((this.total - this.done) / rate)} left` : "";
    return `${this.done} of ${this.total} done${left}.${failed}`;
  }

  failedWords() {
    const often = [...this.failures].sort((a, b) => b[1] - a[1]);
    if (!often.length) return "";
    const [all, others] = [often, often.slice(REASONS)].map((some) => some.reduce((sum, [, n]) => sum + n, 0));
    const said = often.slice(0, REASONS).map(([reason, n]) => `${n} × ${reason}`);
    if (others) said.push(`${others} for other reasons`);
    return ` ${all} could not be classified: ${said.join("; ")}.`;
  }
}

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function firstSentence(text) {
  const [first] = text.split(/\.(?: |$)/);
  return first.charAt(0).toLowerCase() + first.slice(1);
}
