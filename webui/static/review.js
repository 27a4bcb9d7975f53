// The review page, better: one window over all pictures instead of pages, choosing by range and keyboard,
// decisions without reloading. Without this script the form posts as it is.
"use strict";

const CHUNK = 200;
const GAP = 12;
const RETRY_SECONDS = 3; // at first, and twice as long each time
const LONGEST_RETRY_SECONDS = 60;
const LEAST_WIDTH = 132;
const WORDS = { remove: () => "will be removed", keep: () => "will be kept", move: (to) => `will move to ${to}` };
const form = document.getElementById("review");
if (form) start(form);

function start(form) {
  const list = document.getElementById("tiles");
  const grid = document.getElementById("grid");
  const names = JSON.parse(document.getElementById("names").textContent);
  const total = Number(form.dataset.total);
  const items = new Array(total);
  const chunks = new Map();
  const troubled = new Map(); // chunks that are missing, and what is said of each
  const chosen = new Set();
  let focus = 0, anchor = 0, columns = 1, rowHeight = 1, first = -1, last = -1;

  form.querySelectorAll(".with-js").forEach((part) => { part.hidden = false; });
  document.querySelectorAll(".without-js").forEach((part) => { part.hidden = true; });
  form.classList.add("live");
  list.replaceChildren();
  document.querySelector(".tab[aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" }); // of many, on a phone
  const keys = keysSetting(() => range(first, last).forEach(refresh));
  form.addEventListener("submit", (event) => { event.preventDefault(); decide(event.submitter.value); });
  document.getElementById("order").addEventListener("change", (event) => event.target.form.submit());
  list.addEventListener("click", onClick);
  list.addEventListener("change", onChange);
  list.addEventListener("focusin", (event) => moveFocus(Number(event.target.closest(".tile").dataset.index)));
  document.addEventListener("keydown", onKey);
  window.addEventListener("scroll", draw, { passive: true });
  new ResizeObserver(layOut).observe(grid);
  layOut();
  tellChosen();

  function layOut() {
    columns = Math.max(2, Math.floor((grid.clientWidth + GAP) / (LEAST_WIDTH + GAP)));
    const width = (grid.clientWidth - GAP * (columns - 1)) / columns;
    rowHeight = Math.round(width + 76) + GAP;
    grid.style.height = `${Math.ceil(total / columns) * rowHeight}px`;
    list.style.gridTemplateColumns = `repeat(${columns}, minmax(0, 1fr))`;
    list.style.gridAutoRows = `${rowHeight - GAP}px`;
    first = -1;
    draw();
  }

  function draw() {
    const above = Math.max(0, -grid.getBoundingClientRect().top);
    const fromRow = Math.max(0, Math.floor(above / rowHeight) - 3);
    const rows = Math.ceil(window.innerHeight / rowHeight) + 7;
    const from = fromRow * columns, to = Math.min(total, from + rows * columns);
    if (from === first && to === last) return;
    first = from; last = to;
    list.style.transform = `translateY(${fromRow * rowHeight}px)`;
    const hadFocus = list.contains(document.activeElement);
    list.replaceChildren(...range(from, to).map(newTile));
    if (hadFocus) focusTile(false);
    load(from, to);
  }

  async function load(from, to) {
    await Promise.all(chunksOf(from, to).map(loadChunk));
  }

  function chunksOf(from, to) {
    return range(Math.floor(from / CHUNK), Math.ceil(to / CHUNK)).filter((chunk) => chunk * CHUNK < total);
  }

  function loadChunk(chunk) {
    if (!chunks.has(chunk)) chunks.set(chunk, fetchChunk(chunk));
    return chunks.get(chunk);
  }

  // A chunk that cannot be had now is asked for again, ever less often; one that is refused is not. Never fails.
  async function fetchChunk(chunk, tries = 1) {
    const url = new URL(form.dataset.pictures, location);
    url.searchParams.set("offset", chunk * CHUNK);
    url.searchParams.set("limit", CHUNK);
    try {
      const response = await fetch(url, { headers: { Accept: "application/json" } });
      if (response.status === 401) return location.reload(); // to log in, and back
      const answer = await response.json();
      if (!response.ok) return trouble(chunk, answer.error.message, mayPass(response.status) && tries);
      answer.items.forEach((item, i) => { items[chunk * CHUNK + i] = item; refresh(chunk * CHUNK + i); });
      if (troubled.delete(chunk)) tellChosen();
    } catch {
      trouble(chunk, "", tries);
    }
    return undefined;
  }

  function trouble(chunk, message, tries) {
    troubled.set(chunk, tries ? "Some pictures cannot be loaded now; this is tried again." : message);
    tellChosen();
    if (!tries) return;
    const seconds = Math.min(LONGEST_RETRY_SECONDS, RETRY_SECONDS * 2 ** (tries - 1));
    setTimeout(() => chunks.set(chunk, fetchChunk(chunk, tries + 1)), seconds * 1000);
  }

  function newTile(index) {
    const tile = document.getElementById("tile").content.firstElementChild.cloneNode(true);
    tile.dataset.index = index;
    tile.setAttribute("aria-setsize", total);
    tile.setAttribute("aria-posinset", index + 1);
    tile.querySelector("img").alt = `Picture ${index + 1}, on its way`;
    if (items[index]) fill(tile, items[index], index);
    return tile;
  }

  function fill(tile, item, index) {
    const name = names[item.class] ?? item.class;
    const box = tile.querySelector("input"), image = tile.querySelector("img"), link = tile.querySelector("a");
    box.value = key(item);
    box.checked = chosen.has(key(item));
    const entry = focus >= first && focus < last ? focus : first;
    box.tabIndex = keys.checked && index !== entry ? -1 : 0; // without keys the tabulator comes to each
    image.alt = `${name}, picture ${index + 1}`;
    image.src = address("thumbnails", item, ".jpg");
    link.href = address("pictures", item, "");
    link.tabIndex = keys.checked ? -1 : 0;
    link.textContent = name;
    tile.querySelector(".tile-why").textContent = item.staged ? WORDS[item.staged](names[item.staged_to]) : item.why;
    tile.classList.toggle("suspect", Boolean(item.why));
    tile.classList.toggle("staged", Boolean(item.staged));
  }

  function refresh(index) {
    const tile = list.querySelector(`[data-index="${index}"]`);
    if (tile && items[index]) fill(tile, items[index], index);
  }

  function address(kind, item, ending) {
    return `${form.dataset.page}/${kind}/${encodeURIComponent(item.class)}/${item.sha256}${ending}`;
  }

  function onClick(event) {
    const tile = event.target.closest(".tile");
    if (!tile || !event.shiftKey || event.target.closest("a")) return;
    event.preventDefault();
    choose(anchor, Number(tile.dataset.index));
  }

  function onChange(event) {
    const index = Number(event.target.closest(".tile").dataset.index);
    mark(index, event.target.checked);
    moveFocus(index);
    anchor = index;
    tellChosen();
  }

  function onKey(event) {
    const field = event.target.closest("select, textarea, input:not([type=checkbox])");
    if (!keys.checked || field || event.ctrlKey || event.metaKey || event.altKey) return;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    const actions = { k: () => decide("keep"), x: () => decide("remove"), m: () => decide("move"), u: () => decide("none"),
      a: () => choose(0, total - 1), Escape: clear, Enter: open };
    if (event.key in steps) step(steps[event.key], event.shiftKey);
    else if (event.key in actions && !(event.key === "Enter" && event.target.closest("a, button, summary"))) actions[event.key]();
    else return;
    event.preventDefault();
  }

  function step(by, ranging) {
    const next = Math.min(total - 1, Math.max(0, focus + by));
    if (!ranging) anchor = next;
    moveFocus(next);
    focusTile(true);
    if (ranging) choose(anchor, next);
  }

  function moveFocus(index) {
    const before = focus;
    focus = index;
    refresh(before);
    refresh(focus);
  }

  function focusTile(scroll) {
    if (scroll) {
      const top = grid.getBoundingClientRect().top + Math.floor(focus / columns) * rowHeight;
      if (top < 120 || top + rowHeight > window.innerHeight - 90) window.scrollBy(0, top - window.innerHeight / 2 + rowHeight / 2);
      draw();
    }
    list.querySelector(`[data-index="${focus}"] input`)?.focus({ preventScroll: true });
  }

  async function choose(one, other) {
    const [from, to] = [Math.min(one, other), Math.max(one, other)];
    await load(from, to + 1);
    if (chunksOf(from, to + 1).some((chunk) => troubled.has(chunk))) return tellChosen(); // all of them, or none
    chosen.clear();
    range(from, to + 1).forEach((index) => items[index] && chosen.add(key(items[index])));
    range(first, last).forEach(refresh);
    return tellChosen();
  }

  function mark(index, on) {
    if (items[index]) chosen[on ? "add" : "delete"](key(items[index]));
  }

  function clear() {
    chosen.clear();
    range(first, last).forEach(refresh);
    tellChosen();
  }

  function open() {
    if (items[focus]) location.assign(address("pictures", items[focus], ""));
  }

  async function decide(action) {
    if (!chosen.size && items[focus] && list.contains(document.activeElement)) chosen.add(key(items[focus]));
    if (!chosen.size) return tell("Choose a picture first.");
    const to = form.elements.to?.value ?? "";
    if (action === "move" && !to) return tell("Choose first where to move them.");
    const body = JSON.stringify({ action, to, pictures: [...chosen] });
    const headers = { Accept: "application/json", "Content-Type": "application/json", "X-CSRFToken": form.elements.csrf_token.value };
    try {
      const response = await fetch(form.getAttribute("action"), { method: "POST", body, headers });
      const answer = await response.json();
      if (!response.ok) return tell(answer.error.message);
      for (const item of items.filter((item) => item && chosen.has(key(item)))) stage(item, action, to);
      document.getElementById("staged").textContent = answer.staged;
      document.getElementById("dock").toggleAttribute("data-empty", !answer.staged);
      const count = chosen.size;
      clear();
      tell(`${pictures(count)} marked.`);
    } catch {
      tell("The web page cannot be reached; nothing was changed.");
    }
    return undefined;
  }

  function stage(item, action, to) {
    const stays = action === "none" || (action === "move" && item.class === to);
    item.staged = stays ? "" : action;
    item.staged_to = action === "move" ? to : "";
  }

  function tellChosen() {
    form.classList.toggle("choosing", chosen.size > 0);
    const [trouble] = troubled.values();
    tell(`${chosen.size ? `${chosen.size} chosen` : pictures(total)}${trouble ? `. ${trouble}` : ""}`);
  }
}

function keysSetting(changed) {
  const box = document.getElementById("keys");
  box.checked = localStorage.getItem("review-keys") !== "off";
  box.addEventListener("change", () => { localStorage.setItem("review-keys", box.checked ? "on" : "off"); changed(); });
  return box;
}

function mayPass(status) {
  return status >= 500 || status === 429;
}

function tell(message) {
  document.getElementById("chosen").textContent = message;
}

function key(item) {
  return `${item.class}/${item.sha256}`;
}

function range(from, to) {
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
}
