// Draws /v1/status: one table for the plain values, one for each section. It
// knows no field by name, so a new one shows up by itself.
"use strict";

const bad = new Set(["paused", "quarantined", "down", "unserved", "stopping"]);
const good = new Set(["ok", "running", "served", "active"]);

function element(tag, text, className) {
  const e = document.createElement(tag);
  if (text !== undefined) e.textContent = text;
  if (className) e.className = className;
  return e;
}

function words(name) {
  return name.replaceAll("_", " ");
}

function cell(value) {
  if (value === null || value === undefined || value === "") return element("td", "–", "none");
  if (Array.isArray(value) && value.every((v) => typeof v !== "object")) return cell(value.join(", "));
  if (typeof value === "object") {
    const td = element("td");
    td.append(Array.isArray(value) ? rows(value) : pairs(value));
    return td;
  }
  if (typeof value === "number") return element("td", value.toLocaleString("en"), "number");
  if (typeof value === "boolean") return element("td", value ? "yes" : "no");
  return element("td", value, bad.has(value) ? "bad" : good.has(value) ? "good" : "");
}

function pairs(object) {
  const table = element("table");
  for (const [name, value] of Object.entries(object)) {
    const tr = element("tr");
    tr.append(element("th", words(name)), cell(value));
    table.append(tr);
  }
  return table;
}

function rows(list) {
  if (list.length === 0) return element("p", "none", "none");
  const names = [...new Set(list.flatMap((row) => Object.keys(row)))];
  const table = element("table");
  const head = element("tr");
  head.append(...names.map((name) => element("th", words(name))));
  table.append(head);
  for (const row of list) {
    const tr = element("tr");
    tr.append(...names.map((name) => cell(row[name])));
    table.append(tr);
  }
  return table;
}

function draw(status) {
  const plain = {};
  const sections = [];
  for (const [name, value] of Object.entries(status)) {
    const structured = value !== null && typeof value === "object";
    if (!structured) { plain[name] = value; continue; }
    sections.push(element("h2", words(name)));
    const list = Array.isArray(value) ? value.map((v) => (typeof v === "object" ? v : { text: v })) : null;
    sections.push(list ? rows(list) : pairs(value));
  }
  document.getElementById("status").replaceChildren(pairs(plain), ...sections);
}

async function refresh() {
  const line = document.getElementById("line");
  try {
    const reply = await fetch("/v1/status", { cache: "no-store" });
    if (!reply.ok) throw new Error("status " + reply.status);
    draw(await reply.json());
    line.textContent = "as of " + new Date().toLocaleTimeString();
    line.className = "";
  } catch (err) {
    line.textContent = "the worker does not answer (" + err.message + "); what follows is old";
    line.className = "bad";
  }
  setTimeout(refresh, 2000);
}

refresh();
