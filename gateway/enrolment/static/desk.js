// Photos go to the desk one by one, as they are: no form, so that no server puts them into a file on the way.
"use strict";

document.querySelector("[data-print]")?.addEventListener("click", () => window.print());

const chooser = document.getElementById("photos");
chooser?.addEventListener("change", async () => {
  const chosen = [...chooser.files];
  const reading = document.getElementById("reading");
  const results = document.getElementById("results");
  results.replaceChildren();
  chooser.disabled = true;
  reading.hidden = false;
  for (const [at, file] of chosen.entries()) {
    reading.textContent = chooser.dataset.reading.replace("{n}", at + 1).replace("{all}", chosen.length);
    const { done, text } = await looked(file);
    const line = document.createElement("li");
    line.className = done ? "good" : "bad";
    line.textContent = `${file.name}: ${text}`;
    results.append(line);
  }
  reading.hidden = true;
  chooser.value = "";
  chooser.disabled = false;
  chooser.focus();
});

async function looked(file) {
  if (file.size > Number(chooser.dataset.most)) return { done: false, text: chooser.dataset.heavy };
  try {
    const answer = await fetch(chooser.dataset.url, {
      method: "POST",
      headers: {
        "content-type": "application/octet-stream",
        accept: "application/json",
        "x-csrf-token": document.querySelector("meta[name=csrf]").content,
      },
      body: file,
      signal: AbortSignal.timeout(30000),
    });
    if (answer.status === 401) location.assign("/enter");
    const said = await answer.json();
    return { done: answer.ok, text: answer.ok ? said.text : said.error.text };
  } catch {
    return { done: false, text: document.body.dataset.unsent };
  }
}
