// The search page. Whatever comes from the service becomes text nodes, never markup.
"use strict";

const KEY = "greenlang-api-key";
const STOP = new Set(("a an and are as at be by do does for from has have how in is it its must of on or shall "
  + "that the their there these this those to was what when where which who why will with").split(" "));
const LONG = 900;

const at = (id) => document.getElementById(id);
let page = null;

class Refused extends Error {
  constructor(status, message) { super(message); this.status = status; }
}

async function call(path, body) {
  const headers = {};
  const key = sessionStorage.getItem(KEY);
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body) headers["Content-Type"] = "application/json";
  let answer;
  try {
    answer = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
  } catch {
    throw new Refused(0, "The service cannot be reached.");
  }
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw new Refused(answer.status, problem.detail || `The service answered ${answer.status}.`);
  }
  return answer;
}

function say(error) {
  if (error && error.status === 401) {
    const had = sessionStorage.getItem(KEY);
    sessionStorage.removeItem(KEY);
    askForKey();
    error = had ? new Error("This key is not valid (any more).") : null;
  }
  at("problem").hidden = !error;
  at("problem").textContent = error ? error.message : "";
}

function askForKey() {
  at("search-form").hidden = at("forget").hidden = true;
  at("key-form").hidden = false;
  clear();
  at("key").focus();
}

function clear() {
  at("results").replaceChildren();
  at("status").textContent = "";
  at("more").hidden = true;
}

async function start() {
  try {
    const { namespaces } = await (await call("/v1/namespaces")).json();
    say(null);
    at("namespace").replaceChildren(...namespaces.map(({ namespace, documents }) =>
      new Option(`${namespace} (${documents.toLocaleString("en")} documents)`, namespace)));
    at("key-form").hidden = true;
    at("search-form").hidden = false;
    at("forget").hidden = !sessionStorage.getItem(KEY);
    if (!namespaces.length) say(new Error("This key reaches no namespace."));
    at("query").focus();
    fromAddress();
  } catch (error) {
    say(error);
  }
}

// A search has an address, so that it can be shared and the back button works.
function fromAddress() {
  const asked = new URLSearchParams(location.hash.slice(1));
  if (!asked.get("q")) return;
  at("query").value = asked.get("q");
  if (asked.get("in")) at("namespace").value = asked.get("in");
  const mode = document.querySelector(`input[name=mode][value="${CSS.escape(asked.get("mode") || "hybrid")}"]`);
  if (mode) mode.checked = true;
  search();
}

async function search() {
  const query = at("query").value.trim();
  const mode = document.querySelector("input[name=mode]:checked").value;
  const namespace = at("namespace").value;
  if (!query || !namespace) return;
  history.replaceState(null, "", `#${new URLSearchParams({ q: query, in: namespace, mode })}`);
  page = { request: { query, namespace, mode, top_k: 10 }, words: words(query) };
  clear();
  await show();
}

async function show() {
  const asked = page;
  const began = performance.now();
  for (const button of document.querySelectorAll("button")) button.disabled = true;
  at("status").textContent = "Searching…";
  try {
    const answer = await (await call("/v1/search", asked.request)).json();
    say(null);
    const took = Math.round(performance.now() - began);
    at("results").append(...answer.results.map((result) => passage(result, asked)));
    const count = at("results").children.length;
    at("status").textContent = count
      ? `${count} passage${count === 1 ? "" : "s"} in ${took} ms · ${answer.plan}`
      : "No passage answers.";
    asked.request = { ...asked.request, after: answer.next };
    at("more").hidden = !answer.next;
  } catch (error) {
    at("status").textContent = "";
    say(error);
  } finally {
    for (const button of document.querySelectorAll("button")) button.disabled = false;
  }
}

function passage(result, { request, words: wanted }) {
  const item = make("li", "passage");
  item.append(make("h2", "", result.title));
  const path = result.heading_path.filter((heading) => heading !== result.title);
  if (path.length) item.append(make("p", "path", path.join(" › ")));
  const text = make("p", "text");
  text.append(...highlighted(result.content.replace(/\n{2,}/g, "\n"), wanted));
  item.append(text);
  const foot = make("div", "foot");
  if (result.page !== null) foot.append(make("span", "tag", `page ${result.page}`));
  foot.append(make("span", "", result.document), make("span", "", standing(result, request.mode)));
  if (result.content.length > LONG) {
    text.classList.add("long");
    const all = make("button", "quiet", "Whole passage");
    all.type = "button";
    all.addEventListener("click", () => { text.classList.remove("long"); all.remove(); });
    foot.append(all);
  }
  const open = make("button", "quiet open", "Open the source");
  open.type = "button";
  open.setAttribute("aria-label", `Open the source ${result.document} in a new tab`);
  open.addEventListener("click", () => openSource(request.namespace, result));
  foot.append(open);
  item.append(foot);
  return item;
}

function standing(result, mode) {
  if (mode !== "hybrid") return `score ${result.score.toFixed(3)}`;
  return [["meaning", result.vector_rank], ["words", result.text_rank]]
    .filter(([, rank]) => rank !== null)
    .map(([arm, rank]) => `${arm} #${rank}`)
    .join(" · ");
}

// The tab is opened at once, while the click counts; only a PDF is shown as what it is.
async function openSource(namespace, result) {
  const tab = window.open("", "_blank");
  const key = result.document.split("/").map(encodeURIComponent).join("/");
  const kind = new URLSearchParams({ source_type: result.source_type });
  const isPdf = result.document.toLowerCase().endsWith(".pdf");
  if (!isPdf) kind.set("form", "text");
  try {
    const answer = await call(`/v1/documents/${encodeURIComponent(namespace)}/${key}?${kind}`);
    const pdf = isPdf && answer.headers.get("Content-Type") === "application/pdf";
    const blob = new Blob([await answer.blob()], { type: pdf ? "application/pdf" : "text/plain;charset=utf-8" });
    const address = URL.createObjectURL(blob);
    if (tab) tab.location = pdf && result.page ? `${address}#page=${result.page}` : address;
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
    say(tab ? null : new Error("The browser did not allow a new tab."));
  } catch (error) {
    if (tab) tab.close();
    say(error);
  }
}

function words(query) {
  const found = query.toLowerCase().match(/[\p{L}\p{N}]+/gu) || [];
  return found.filter((word) => !STOP.has(word) && (word.length > 2 || /\d/.test(word)));
}

// A word matches one that begins as it does: reporting, reported, reports.
function highlighted(content, wanted) {
  const stems = wanted.map((word) => (word.length > 5 ? word.slice(0, Math.max(5, word.length - 3)) : word));
  return content.split(/([\p{L}\p{N}]+)/u).map((part, place) => {
    const word = part.toLowerCase();
    const hit = place % 2 && stems.some((stem, i) => (wanted[i].length > 5 ? word.startsWith(stem)
      : word === stem || word === `${stem}s`));
    return hit ? make("mark", "", part) : document.createTextNode(part);
  });
}

function make(name, className, text) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  return element;
}

at("search-form").addEventListener("submit", (event) => { event.preventDefault(); search(); });
at("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(KEY, at("key").value.trim());
  at("key").value = "";
  start();
});
at("forget").addEventListener("click", () => { sessionStorage.removeItem(KEY); say(null); askForKey(); });
at("more").addEventListener("click", show);
start();
