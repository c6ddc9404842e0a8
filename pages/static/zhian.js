// Live parts and actions of every page. It holds no text: what is shown comes rendered from the server.
"use strict";

const BEAT_LIMIT_MS = 25000; // the server beats every 10 s (pages/live.py); longer silence is a dead connection
const RETRY_MS = [1000, 2000, 4000, 8000, 15000];
const BANNER_AFTER_MS = 1500; // a blink of the network is not worth a banner
const ANSWER_WITHIN_MS = 15000;
const byId = (id) => document.getElementById(id);

// --- live parts ---------------------------------------------------------------------------------------------------

let source = null;
let cursor = null;
let tries = 0;
let retryTimer = 0;
let beatTimer = 0;
let bannerTimer = 0;

function connect() {
  const url = new URL(document.body.dataset.live, location.origin);
  if (cursor !== null) url.searchParams.set("after", cursor);
  clearTimeout(retryTimer);
  source = new EventSource(url);
  source.addEventListener("open", alive);
  source.addEventListener("beat", alive);
  source.addEventListener("update", (event) => {
    alive();
    if (event.lastEventId) cursor = event.lastEventId;
    apply(JSON.parse(event.data));
  });
  source.addEventListener("ended", lost);
  source.addEventListener("error", lost);
  watch();
}

function alive() {
  tries = 0;
  clearTimeout(bannerTimer);
  bannerTimer = 0;
  byId("lost").hidden = true;
  document.body.classList.remove("stale");
  watch();
}

function watch() {
  clearTimeout(beatTimer);
  beatTimer = setTimeout(lost, BEAT_LIMIT_MS);
}

function disconnect() {
  clearTimeout(beatTimer);
  clearTimeout(retryTimer);
  if (source) source.close();
  source = null;
}

function lost() {
  disconnect();
  if (!bannerTimer) {
    bannerTimer = setTimeout(() => {
      byId("lost").hidden = false;
      document.body.classList.add("stale");
    }, BANNER_AFTER_MS);
  }
  const wait = RETRY_MS[Math.min(tries++, RETRY_MS.length - 1)];
  retryTimer = setTimeout(reconnect, wait * (0.75 + Math.random() / 2));
}

// EventSource does not tell a lost network from an ended session; this does.
async function reconnect() {
  try {
    const answer = await fetch("/enter", { redirect: "manual", cache: "no-store", signal: AbortSignal.timeout(5000) });
    if (answer.status === 200) {
      location.assign("/enter"); // the form is shown only to who has not entered
      return;
    }
    connect();
  } catch {
    lost();
  }
}

function apply(update) {
  for (const [id, html] of Object.entries(update.fragments)) {
    const old = byId(id);
    const fresh = parsed(html).firstElementChild;
    if (old && fresh) morph(old, fresh);
  }
  if (update.rows) addRows(update.rows);
}

function parsed(html) {
  const template = document.createElement("template");
  template.innerHTML = html.trim(); // rendered and escaped by the server; the policy forbids inline script anyway
  return template.content;
}

// Change `old` into `fresh` in place: focus, open lists and running transitions survive.
function morph(old, fresh) {
  if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName || old.id !== fresh.id) {
    old.replaceWith(fresh);
    return;
  }
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  const olds = [...old.childNodes];
  const freshes = [...fresh.childNodes];
  freshes.forEach((child, i) => (i < olds.length ? morph(olds[i], child) : old.append(child)));
  olds.slice(freshes.length).forEach((child) => child.remove());
}

function addRows(rows) {
  const list = byId(rows.target);
  if (!list) return;
  const fresh = parsed(`<table><tbody>${rows.html}</tbody></table>`).querySelector("tbody");
  const arrived = [...fresh.children];
  if (rows.fresh) list.replaceChildren();
  else arrived.forEach((row) => row.classList.add("new"));
  list.prepend(...arrived);
  while (list.children.length > rows.keep) list.lastElementChild.remove();
  const any = list.children.length > 0;
  const older = byId(`${rows.target}-older`);
  if (older && any) {
    const url = new URL(older.href);
    url.searchParams.set("before", list.lastElementChild.dataset.row);
    older.href = url;
    older.hidden = older.hidden && list.children.length < rows.keep;
  }
  const empty = byId(`${rows.target}-empty`);
  if (empty) empty.hidden = any;
  const box = byId(`${rows.target}-box`);
  if (box) box.hidden = !any;
}

if (document.body.dataset.live) {
  connect();
  // A page nobody sees holds no connection: browsers allow six to one host, phones like to sleep.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) disconnect();
    else if (!source) reconnect();
  });
  window.addEventListener("online", () => { if (!source) reconnect(); });
  window.addEventListener("pagehide", disconnect);
  window.addEventListener("pageshow", (event) => { if (event.persisted && !source) reconnect(); });
}

// --- actions ------------------------------------------------------------------------------------------------------

async function post(url, body) {
  try {
    const answer = await fetch(url, {
      method: "POST",
      headers: {
        "content-type": "application/json",
        accept: "application/json",
        "x-csrf-token": document.querySelector("meta[name=csrf]").content,
      },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(ANSWER_WITHIN_MS),
    });
    if (answer.status === 401) location.assign("/enter");
    const said = await answer.json();
    return { done: answer.ok, text: answer.ok ? said.text : said.error.text, goto: said.goto };
  } catch {
    return { done: false, text: document.body.dataset.unsent };
  }
}

let toldTimer = 0;
function tell({ done, text }) {
  const told = byId("told");
  told.textContent = text;
  told.classList.toggle("red", !done);
  told.hidden = false;
  clearTimeout(toldTimer);
  toldTimer = setTimeout(() => { told.hidden = true; }, done ? 4000 : 9000);
}

// <button data-post="/api/..." data-body='{...}'>: at once; fields of its form named in data-fields are added.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-post]");
  if (!button || button.disabled) return;
  event.preventDefault();
  const body = JSON.parse(button.dataset.body || "{}");
  for (const id of (button.dataset.fields || "").split(" ").filter(Boolean)) body[byId(id).name] = byId(id).value;
  button.setAttribute("aria-busy", "true");
  button.disabled = true;
  tell(await post(button.dataset.post, body));
  button.removeAttribute("aria-busy");
  button.disabled = false;
});

// <button data-ask="dialog id" data-url data-subject data-question>: a question first, then its result in the same place.
let asker = null;
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-ask]");
  if (!button || button.disabled) return;
  asker = { id: button.id, url: button.dataset.url };
  const dialog = byId(button.dataset.ask);
  dialog.querySelector("[data-subject]").textContent = button.dataset.subject;
  dialog.querySelector("[data-question]").textContent = button.dataset.question;
  stage(dialog, "ask");
  dialog.showModal();
});

function stage(dialog, name) {
  for (const part of dialog.querySelectorAll("[data-stage]")) part.hidden = !part.dataset.stage.split(" ").includes(name);
}

for (const dialog of document.querySelectorAll("dialog")) {
  dialog.querySelector("[data-confirm]").addEventListener("click", async () => {
    stage(dialog, "pending");
    const answer = await post(asker.url, {});
    const result = answer.done ? "done" : "failed";
    dialog.querySelector(`[data-stage=${result}] [data-text]`).textContent = answer.text;
    if (answer.goto) dialog.querySelector("[data-goto]")?.setAttribute("href", answer.goto); // where the result stands
    stage(dialog, result);
    // What was done may be elsewhere on this page, too: closed by whatever key, the page is loaded again.
    if (answer.goto) dialog.addEventListener("close", () => location.reload(), { once: true });
    [...dialog.querySelectorAll("[data-dismiss], a[data-goto]")].find((one) => one.offsetParent !== null)?.focus();
  });
  for (const button of dialog.querySelectorAll("[data-dismiss]")) {
    button.addEventListener("click", () => dialog.close());
  }
  dialog.addEventListener("close", () => { if (asker) byId(asker.id)?.focus(); });
}

// A filter acts as soon as it is chosen.
for (const select of document.querySelectorAll("form[data-instant] select")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}
