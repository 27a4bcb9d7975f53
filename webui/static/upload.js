// The upload page, better: pictures are sent as soon as they are chosen, dropped or pasted, each on
// its own, and the answers appear in place. Without this script the form posts as it is.
"use strict";

const AT_ONCE = 3;
const form = document.getElementById("upload");
if (form) start(form);

function start(form) {
  const input = document.getElementById("images");
  const drop = document.getElementById("drop");
  const waiting = [];
  let running = 0, done = 0, total = 0;

  form.querySelectorAll(".with-js").forEach((part) => { part.hidden = false; });
  form.querySelectorAll(".without-js").forEach((part) => { part.hidden = true; });
  form.addEventListener("submit", (event) => { event.preventDefault(); add(input.files); });
  input.addEventListener("change", () => { add(input.files); input.value = ""; });
  document.addEventListener("paste", (event) => { add(event.clipboardData?.files ?? []); });
  for (const kind of ["dragover", "dragleave", "drop"]) {
    window.addEventListener(kind, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragover");
      if (kind === "drop") add(event.dataTransfer.files);
    });
  }

  function add(files) {
    const most = Number(form.dataset.maxImages);
    if (files.length > most) say(`Up to ${most} pictures are taken at once; the first ${most} were.`);
    const model = form.elements.model.value;
    const jobs = [...files].slice(0, most).map((file) => ({ file, model, row: newRow(file) }));
    document.getElementById("jobs").prepend(...jobs.map((job) => job.row));
    jobs.forEach(queue);
  }

  function queue(job) {
    total += 1;
    waiting.push(job);
    next();
  }

  function next() {
    while (running < AT_ONCE && waiting.length) {
      running += 1;
      run(waiting.shift()).finally(() => { running -= 1; done += 1; next(); });
    }
  }

  async function run(job) {
    show(job.row, ".working", true);
    try {
      const answer = await send(job);
      showResult(job.row, answer);
      say(`${job.file.name}: ${headline(answer.result)}, ${percent(answer.result.confidence)}. ${done + 1} of ${total} done.`);
    } catch (error) {
      showError(job, error);
      say(`${job.file.name}: ${error.message}`);
    }
    show(job.row, ".working", false);
  }

  async function send({ file, model }) {
    const most = Number(form.dataset.maxBytes);
    if (file.size > most) throw new Error(`The picture has more than ${most / 2 ** 20} MB. Make it smaller.`);
    const body = new FormData();
    body.append("csrf_token", form.elements.csrf_token.value);
    body.append("model", model);
    body.append("images", file, file.name);
    const response = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" } })
      .catch(() => { throw again("The web page cannot be reached."); });
    const answer = await response.json().catch(() => { throw again("The web page did not answer as expected."); });
    if (response.ok) return answer.results[0];
    throw response.status >= 500 ? again(answer.error.message) : new Error(answer.error.message);
  }

  function showError(job, error) {
    const retry = job.row.querySelector(".retry");
    text(job.row, ".job-error", error.message);
    retry.hidden = !error.again;
    retry.onclick = () => {
      retry.hidden = true;
      show(job.row, ".job-error", false);
      total -= 1;
      done -= 1;
      queue(job);
    };
  }
}

function again(message) {
  return Object.assign(new Error(message), { again: true });
}

function newRow(file) {
  const row = document.getElementById("job").content.firstElementChild.cloneNode(true);
  const thumb = row.querySelector(".thumb");
  thumb.addEventListener("error", () => thumb.removeAttribute("src"), { once: true }); // such as HEIC
  thumb.addEventListener("load", () => URL.revokeObjectURL(thumb.src), { once: true });
  thumb.src = URL.createObjectURL(file);
  row.querySelector(".job-name").textContent = file.name;
  return row;
}

function showResult(row, { result, url, picture, from_cache: fromCache }) {
  const bars = row.querySelector(".bars");
  bars.replaceChildren(...result.predictions.map(newBar));
  bars.hidden = false;
  text(row, ".job-top", headline(result));
  const link = Object.assign(document.createElement("a"), { href: url, textContent: "Open this result" });
  text(row, ".job-more", "").append(link, fromCache ? " · answered from the cache" : "");
  const thumb = row.querySelector(".thumb");
  if (!thumb.hasAttribute("src")) thumb.src = picture;
  row.dataset.result = url;
}

function newBar(prediction) {
  const bar = document.getElementById("bar").content.firstElementChild.cloneNode(true);
  const progress = bar.querySelector("progress");
  bar.querySelector(".bar-name").textContent = prediction.class;
  bar.querySelector(".bar-number").textContent = percent(prediction.confidence);
  progress.value = prediction.confidence;
  progress.setAttribute("aria-label", `Confidence in ${prediction.class}`);
  return bar;
}

function headline(result) {
  return result.none_of_these ? "None of these" : result.top;
}

function percent(value) {
  if (value > 0 && value < 0.001) return "< 0.1 %";
  if (value > 0.999 && value < 1) return "> 99.9 %";
  return `${(value * 100).toFixed(1)} %`;
}

function say(message) {
  document.getElementById("status").textContent = message;
}

function show(row, part, visible) {
  row.querySelector(part).hidden = !visible;
}

function text(row, part, value) {
  const element = row.querySelector(part);
  element.textContent = value;
  element.hidden = false;
  return element;
}
