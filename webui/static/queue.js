// Work done a few pieces at a time, and asking the web page with what it says when it cannot answer.
"use strict";

class Queue {
  constructor(atOnce) {
    this.atOnce = atOnce;
    this.running = 0;
    this.waiting = [];
  }

  // The promise settles with the work's.
  add(work) {
    return new Promise((resolve, reject) => {
      this.waiting.push(() => work().then(resolve, reject));
      this.next();
    });
  }

  next() {
    while (this.running < this.atOnce && this.waiting.length) {
      this.running += 1;
      this.waiting.shift()().finally(() => { this.running -= 1; this.next(); });
    }
  }
}

// An error that may pass has `again`, the seconds to wait before the next try.
function problem(message, again = 0) {
  return Object.assign(new Error(message), { again });
}

// POST a form, or GET without one. `progress` is told the fraction of the form that has been sent.
function ask(url, form = null, progress = () => {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(form ? "POST" : "GET", url);
    request.setRequestHeader("Accept", "application/json");
    request.upload.addEventListener("progress", (e) => { if (e.lengthComputable) progress(e.loaded / e.total); });
    request.addEventListener("error", () => reject(problem("The web page cannot be reached.", 5)));
    request.addEventListener("load", () => {
      const answer = parsed(request.responseText);
      if (request.status < 300 && answer) resolve(answer);
      else reject(refusal(request, answer));
    });
    request.send(form);
  });
}

function refusal(request, answer) {
  const passing = request.status >= 500 || request.status === 429;
  const wait = passing ? Number(request.getResponseHeader("Retry-After")) || 5 : 0;
  return problem(answer?.error?.message ?? "The web page did not answer as expected.", wait || (answer ? 0 : 5));
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// The same, tried again after what may pass, at most `tries` times.
async function askPatiently(url, form = null, tries = 6) {
  for (let tried = 1; ; tried += 1) {
    try {
      return await ask(url, form);
    } catch (error) {
      if (!error.again || tried >= tries) throw error;
      await new Promise((resolve) => { setTimeout(resolve, 1000 * Math.min(error.again, 2 ** tried)); });
    }
  }
}
