// A job's page, live: what changed comes over a stream, or is asked for again and again where there is none.
// Without this script the page reloads itself.
"use strict";

const POLL_SECONDS = 2;
const live = document.getElementById("live");
if (live && "active" in live.dataset) follow(live);

function follow(live) {
  const url = live.dataset.job;
  if (!window.EventSource) return poll(url);
  const stream = new EventSource(`${url}/events?seen=${encodeURIComponent(live.dataset.seen)}`);
  stream.addEventListener("state", (event) => show(event.data));
  stream.addEventListener("end", () => { stream.close(); finish(); });
  // a stream that breaks off comes back by itself; one that was refused does not
  stream.addEventListener("error", () => { if (stream.readyState === EventSource.CLOSED) poll(url); });
  window.addEventListener("pagehide", () => stream.close());
}

async function poll(url) {
  for (;;) {
    const headers = { Accept: "text/html", "X-Requested-With": "fetch" };
    const response = await fetch(`${url}/live`, { headers }).catch(() => null);
    if (response?.status === 401) return location.reload(); // to log in, and back
    if (response?.ok) show(await response.text());
    if (response?.ok && response.headers.get("X-Job-Active") === "no") return finish();
    if (response?.status === 404) return;
    await new Promise((resolve) => { setTimeout(resolve, POLL_SECONDS * 1000); });
  }
}

// Exchanges the parts that are different, so that pictures do not flicker and the focus stays.
function show(html) {
  const fresh = new DOMParser().parseFromString(html, "text/html").body;
  exchange(live, fresh);
  say(live.querySelector("[data-words]")?.dataset.words ?? "");
}

function exchange(old, fresh) {
  const before = new Map([...old.children].map((part) => [part.id, part]));
  [...fresh.children].forEach((part, place) => {
    const there = before.get(part.id);
    before.delete(part.id);
    if (!there) old.insertBefore(part, old.children[place] ?? null);
    else if (!same(there, part)) {
      const inner = there.querySelector(":scope > .class-rows"), other = part.querySelector(":scope > .class-rows");
      if (inner && other) exchange(inner, other);
      else there.replaceWith(part);
    }
  });
  before.forEach((part) => part.remove());
}

function same(a, b) {
  return a.dataset.key && b.dataset.key ? a.dataset.key === b.dataset.key : a.outerHTML === b.outerHTML;
}

function finish() {
  delete live.dataset.active;
}

let said = "";
function say(words) {
  if (!words || words === said) return;
  said = words;
  document.getElementById("said").textContent = words;
  document.title = document.title.replace(/: [^:·]+ ·/, () => `: ${words} ·`);
}
