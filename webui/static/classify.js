// The upload page, better: what is chosen, dropped, pasted, taken or named by its address is sent at once and
// answered in place. Few pictures get a row each, many a tile. Without this script the form posts as it is.
"use strict";

const FEW = 12;
const PART = 32;
const PART_BYTES = 24 * 2 ** 20;
const queue = new Queue(4);
const form = document.getElementById("upload");
if (form) startPage();

function startPage() {
  const input = document.getElementById("images");
  const folder = document.getElementById("folder");
  form.classList.add("live");
  form.querySelectorAll(".with-js").forEach((part) => { part.hidden = false; });
  form.querySelectorAll(".without-js").forEach((part) => { part.hidden = true; });
  form.addEventListener("submit", (event) => { event.preventDefault(); fetchAddress(); });
  input.addEventListener("change", () => { take([...input.files]); input.value = ""; });
  folder.addEventListener("change", () => { take(onlyPictures([...folder.files])); folder.value = ""; });
  document.getElementById("pick-folder").addEventListener("click", () => folder.click());
  document.addEventListener("paste", (event) => { take([...(event.clipboardData?.files ?? [])]); });
  offerCamera(take);
  offerDropping();
}

function offerDropping() {
  for (const kind of ["dragover", "dragleave", "drop"]) {
    window.addEventListener(kind, async (event) => {
      event.preventDefault();
      document.getElementById("drop").classList.toggle("over", kind === "dragover");
      if (kind === "drop") take(await dropped(event.dataTransfer));
    });
  }
}

// Dropped files, those in dropped folders included.
async function dropped(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const found = [];
  for (const entry of entries) found.push(...await filesBelow(entry));
  return onlyPictures(found);
}

// What systems put beside pictures, as `webui/intake.py` knows it.
function isClutter(file) {
  return file.name.startsWith(".") || /^(thumbs\.db|desktop\.ini)$/i.test(file.name);
}

async function filesBelow(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => { entry.file(resolve, reject); })];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
    if (!some.length) return found;
    for (const one of some) found.push(...await filesBelow(one));
  }
}

function onlyPictures(files) {
  const pictures = files.filter((file) => !isClutter(file) && (/^image\//.test(file.type) || /\.(heic|heif|avif)$/i.test(file.name)));
  if (!pictures.length) say("There are no pictures in that folder.");
  return pictures.sort((a, b) => (a.webkitRelativePath + a.name).localeCompare(b.webkitRelativePath + b.name));
}

function take(sent) {
  const meant = sent.filter((file) => !isClutter(file));
  const files = meant.length ? meant : sent;
  const archives = files.filter((file) => /\.zip$/i.test(file.name));
  archives.forEach(sendArchive);
  const pictures = files.filter((file) => !archives.includes(file));
  if (pictures.length > FEW) sendMany(pictures);
  else sendFew(pictures);
}

function newForm(fields) {
  const body = new FormData();
  body.append("csrf_token", form.elements.csrf_token.value);
  for (const [name, value] of Object.entries(fields)) body.append(name, value);
  return body;
}

function chosenModel() {
  return form.elements.model.value;
}

// A few pictures, an address or an archive: a row each.

function sendFew(files) {
  const most = Number(form.dataset.maxBytes);
  const jobs = files.map((file) => ({
    name: file.name,
    row: newRow(file.name, file),
    body: () => {
      if (file.size > most) throw problem(`The picture has more than ${most / 2 ** 20} MB. Make it smaller.`);
      const body = newForm({ model: chosenModel() });
      body.append("images", file, file.name);
      return body;
    },
  }));
  document.getElementById("jobs").prepend(...jobs.map((job) => job.row));
  jobs.forEach(run);
}

function fetchAddress() {
  const address = form.elements.url.value.trim();
  if (!address) return;
  const job = { name: address, row: newRow(address), body: () => newForm({ model: chosenModel(), url: address }) };
  document.getElementById("jobs").prepend(job.row);
  form.elements.url.value = "";
  run(job);
}

function sendArchive(file) {
  const body = () => {
    const made = newForm({ model: chosenModel() });
    made.append("images", file, file.name);
    return made;
  };
  const job = { name: file.name, row: newRow(file.name), body };
  document.getElementById("jobs").prepend(job.row);
  run(job);
}

async function run(job) {
  const bar = job.row.querySelector("progress");
  bar.hidden = false;
  try {
    const answer = await queue.add(async () => ask(form.action, job.body(), (sent) => showProgress(job.row, sent)));
    if (answer.batch && isAlone(job.row)) return location.assign(answer.batch);
    if (answer.batch) {
      showBatch(job.row, answer.batch);
      say(`${job.name} has arrived.`);
    } else {
      const [entry] = answer.results;
      showResult(job.row, entry);
      say(`${job.name}: ${inShort(entry.result)}.`);
    }
  } catch (error) {
    showError(job, error);
    say(`${job.name}: ${error.message}`);
  }
  bar.hidden = true;
  return undefined;
}

// Whether leaving the page would lose nothing else that is sent or shown.
function isAlone(row) {
  return row.parentElement.children.length === 1 && document.getElementById("many").hidden;
}

function showError(job, error) {
  const retry = job.row.querySelector(".retry");
  setText(job.row, ".job-error", error.message);
  retry.hidden = !error.again;
  retry.onclick = () => {
    retry.hidden = true;
    job.row.querySelector(".job-error").hidden = true;
    run(job);
  };
}

// Many pictures: one batch, sent in parts, a tile each. One that comes later takes the place of the tiles; the one
// before goes on, and a row leads to it.

let shown = null;

async function sendMany(files) {
  const title = files[0].webkitRelativePath?.split("/")[0] || `${files.length} pictures`;
  const sending = { title, tally: new Tally(files.length), batch: "", stopped: false };
  const tiles = files.map((file) => newTile(file.name, file));
  if (shown) setAside(shown);
  shown = sending;
  showMany(files.length, tiles, () => { sending.stopped = true; sending.tally.show(`Stopped after ${sending.tally.done} of ${files.length}.`); });
  try {
    const fields = newForm({ model: chosenModel(), total: files.length, title });
    sending.batch = (await askPatiently(form.dataset.batches, fields)).batch;
    if (sending === shown) offerDownloads(sending.batch);
    else leadTo(sending);
    await Promise.all([...inParts(files)].map((part) => queue.add(() => sendPart(sending, part, tiles))));
    if (sending === shown && !sending.stopped) document.getElementById("many-done").textContent = sending.tally.words();
  } catch (error) {
    sending.tally.show(error.message);
  }
  if (sending === shown) document.getElementById("many-stop").hidden = true;
}

function setAside(sending) {
  sending.tally.hide();
  if (sending.batch) leadTo(sending);
}

function leadTo({ title, batch }) {
  const row = newRow(title);
  row.querySelector("progress").hidden = true;
  showBatch(row, batch);
  document.getElementById("jobs").prepend(row);
}

async function sendPart(sending, { start, files }, tiles) {
  if (sending.stopped) return;
  const body = newForm({ start });
  files.forEach((file) => body.append("images", file, file.name));
  let entries;
  try {
    entries = (await askPatiently(sending.batch, body)).results;
  } catch (error) {
    entries = files.map(() => ({ error }));
  }
  if (sending.stopped) return;
  entries.forEach((entry, i) => showInTile(tiles[start + i], entry));
  sending.tally.add(entries);
}

function* inParts(files) {
  let start = 0;
  while (start < files.length) {
    let end = start, bytes = 0;
    do {
      bytes += files[end].size;
      end += 1;
    } while (end < files.length && end - start < PART && bytes + files[end].size <= PART_BYTES);
    yield { start, files: files.slice(start, end) };
    start = end;
  }
}

function showMany(total, tiles, stop) {
  document.getElementById("many").hidden = false;
  document.getElementById("many-title").textContent = pictures(total);
  document.getElementById("many-done").textContent = "";
  document.getElementById("tiles").replaceChildren(...tiles);
  for (const id of ["many-page", "many-csv", "many-json"]) document.getElementById(id).hidden = true;
  const button = document.getElementById("many-stop");
  button.hidden = false;
  button.onclick = () => { stop(); button.hidden = true; };
}

function offerDownloads(batch) {
  for (const [id, end] of [["many-page", ""], ["many-csv", "/csv"], ["many-json", "/json"]]) {
    const link = document.getElementById(id);
    link.href = batch + end;
    link.hidden = false;
  }
}
