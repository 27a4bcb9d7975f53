// How values are written for people, as `webui/formats.py` does on the server.
"use strict";

// Ties go to the even digit, as in Python.
const TENTHS = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1, roundingMode: "halfEven" });

// What a classifier holds for likely; never certain, and next to the ends rounded towards the middle.
function confidence(value) {
  if (value < 0.001) return "<\u00a00.1\u00a0%";
  if (value > 0.999) return ">\u00a099.9\u00a0%";
  return `${TENTHS.format(Math.min(Math.max(value, 0.0016), 0.9984) * 100)}\u00a0%`;
}

function headline(result) {
  return result.none_of_these ? "None of these" : result.top;
}

// The answer in a few words; how sure it is means nothing where it names no class.
function inShort(result) {
  return result.none_of_these ? headline(result) : `${result.top}, ${confidence(result.confidence)}`;
}

function pictures(number) {
  return `${number} ${number === 1 ? "picture" : "pictures"}`;
}

function seconds(value) {
  if (value < 60) return `${Math.max(1, Math.round(value))} s`;
  return `${Math.round(value / 60)} min`;
}

function say(message) {
  document.getElementById("status").textContent = message;
}
