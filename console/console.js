"use strict";

const byId = (id) => document.getElementById(id);
const number = (v, digits = 3) =>
  v === null || v === undefined ? "–" : Math.abs(v) >= 1000 ? v.toFixed(4) : v.toFixed(digits);

function element(name, text, className) {
  const node = document.createElement(name);
  if (text !== undefined) node.textContent = text;
  if (className) node.className = className;
  return node;
}

async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body),
  };
  const reply = await fetch(path, options);
  const text = await reply.text();
  let json;
  try { json = JSON.parse(text); } catch { throw new Error(text || reply.statusText); }
  if (!reply.ok) throw new Error(reason(json) || reply.statusText);
  return json;
}

function reason(json) {
  const error = json.error ?? json.message ?? json;
  if (typeof error === "string") return error;
  return error.reason ?? error.message ?? JSON.stringify(error);
}

function fail(error) {
  byId("error").textContent = error.message;
  byId("error").hidden = false;
}

/* ---- the question ---------------------------------------------------------------------- */

function request(extra) {
  const body = {table: byId("table").value, query: byId("query").value, ...extra};
  if (byId("pipeline").value) body.pipeline = byId("pipeline").value;
  if (byId("passages").checked) body.chunking = "sentence";
  return body;
}

/* The address says what was asked, and which document is explained. */
function remember(id) {
  const asked = {t: byId("table").value, p: byId("pipeline").value, q: byId("query").value};
  if (byId("passages").checked) asked.c = "1";
  if (id !== undefined) asked.e = id;
  location.hash = new URLSearchParams(asked).toString();
}

/* With an id: and then why that document has its score. */
async function search(id) {
  byId("error").hidden = true;
  byId("explain").hidden = true;
  if (!byId("query").value.trim()) return;
  remember(id);
  try {
    draw(await ask("/_quern/search", request({size: 10})));
    if (id !== undefined) await explain({id, source: {}}, [...byId("hits").tBodies[0].rows].find((r) => r.dataset.id === id));
  } catch (error) {
    byId("hits").hidden = byId("stages").hidden = true;
    byId("summary").textContent = "";
    fail(error);
  }
}

/* ---- the answer ------------------------------------------------------------------------ */

function draw(reply) {
  const more = reply.total_is_lower_bound ? "at least " : "";
  byId("summary").textContent = `${more}${reply.total} found in ${number(reply.took_ms, 1)} ms` + rerankText(reply.rerank);
  drawStages(reply.stages ?? []);
  const body = byId("hits").tBodies[0];
  body.replaceChildren(...reply.hits.map((hit, i) => row(hit, i)));
  byId("hits").hidden = reply.hits.length === 0;
}

function rerankText(rerank) {
  if (!rerank) return "";
  const end = rerank.timed_out ? "; its time ran out" : "";
  return `. ${rerank.model} scored ${rerank.scored} of ${rerank.of}${end}`;
}

function drawStages(stages) {
  const line = element("tr");
  for (const s of stages) line.append(element("td", `${s.name}: ${s.out} in ${number(s.ms, 1)} ms`));
  byId("stages").tBodies[0].replaceChildren(line);
  byId("stages").hidden = stages.length === 0;
}

function titleOf(source, id) {
  const text = source?.title ?? source?.name ?? id;
  return source?.year ? `${text} (${source.year})` : String(text);
}

function excerptOf(source) {
  const text = source?.overview ?? source?.text ?? source?.content ?? "";
  return typeof text === "string" && text.length > 220 ? text.slice(0, 217) + "…" : text;
}

/* Places gained by the model: where the document stood before it, and after. */
function movement(stages) {
  const before = stages.fine_rank ?? stages.rough_rank ?? stages.recall_rank;
  if (stages.neural === null || stages.neural === undefined || before === null || stages.final_rank === null)
    return element("td", "");
  const gained = before - stages.final_rank;
  const sign = gained > 0 ? "+" : "";
  return element("td", gained === 0 ? "=" : sign + gained, gained > 0 ? "up" : gained < 0 ? "down" : "");
}

function row(hit, i) {
  const line = element("tr"), s = hit.stages ?? {};
  line.dataset.id = hit.id;
  const rank = s.final_rank ?? i;
  line.append(element("td", rank + 1), movement(s));
  const document_ = element("td", undefined, "wide");
  document_.append(element("div", titleOf(hit.source, hit.id), "title"),
    element("div", hit.passage ? `… ${hit.passage.text}` : excerptOf(hit.source), "excerpt"));
  if (hit.passage) document_.append(element("div", `passage ${hit.passage.number + 1} of ${hit.passage.of}`, "excerpt"));
  line.append(document_);
  for (const v of [s.text, s.vector, s.rough, s.fine, s.neural_score, hit.score]) line.append(element("td", number(v)));
  const why = element("button", "why");
  why.type = "button";
  why.addEventListener("click", () => explain(hit, line));
  const last = element("td");
  last.append(why);
  line.append(last);
  return line;
}

/* ---- why ------------------------------------------------------------------------------- */

function tree(node) {
  const item = element("li");
  item.append(element("b", number(node.value, 5)), ` ${node.description}`);
  if (node.details?.length) {
    const list = element("ul");
    list.append(...node.details.map(tree));
    item.append(list);
  }
  return item;
}

/* Bytes of a text, which is how places in it are told. */
const encoder = new TextEncoder(), decoder = new TextDecoder();

/* The text with its words coloured by what leaving each out does to the logit. */
function coloured(text, words, most, unread) {
  const bytes = encoder.encode(text), nodes = [];
  const end = bytes.length - (unread ?? 0);
  let at = 0;
  for (const word of words) {
    nodes.push(decoder.decode(bytes.subarray(at, word.start)));
    const known = word.effect !== null && word.effect !== undefined;
    const node = element("span", decoder.decode(bytes.subarray(word.start, word.end)),
      "word " + (known ? (word.effect < 0 ? "lowered" : "raised") : "unknown"));
    node.style.setProperty("--share", known && most > 0 ? Math.abs(word.effect) / most : 0);
    node.title = known ? `${word.effect < 0 ? "" : "+"}${word.effect.toFixed(3)}` : "time did not reach it";
    nodes.push(node);
    at = word.end;
  }
  nodes.push(decoder.decode(bytes.subarray(at, end)));
  if (end < bytes.length) nodes.push(element("span", decoder.decode(bytes.subarray(end)), "unread"));
  return nodes;
}

/* The last model that reached the hit. */
function modelOf(reply, hit) {
  const stages = reply.rerank?.stages ?? [];
  for (let i = stages.length - 1; i >= 0; i--)
    if (hit.neural?.[i] && hit.neural[i].logit !== null) return stages[i].model;
  return reply.rerank?.model;
}

let asking = 0; /* an answer to an older question is dropped */

/* Which words moved the model's score, once the rest of the explanation stands there. */
async function explainWords(reply, hit) {
  const mine = ++asking, passage = hit.passage, neural = hit.stages?.neural;
  byId("words").hidden = !passage || neural === null || neural === undefined;
  if (byId("words").hidden) return;
  const query = byId("query").value, model = modelOf(reply, hit);
  byId("words-part").textContent = passage.of > 1 ? `passage ${passage.number + 1} of ${passage.of}` : "";
  byId("words-query").textContent = query;
  byId("words-text").textContent = passage.text;
  byId("words-note").textContent = "leaving out each word once …";
  try {
    const told = await ask("/_quern/attribute", {model, query, text: passage.text, timeout_ms: 10000});
    if (mine !== asking) return;
    const most = Math.max(0, ...[...told.query, ...told.document].map((w) => Math.abs(w.effect ?? 0)));
    byId("words-query").replaceChildren(...coloured(query, told.query, most, told.unread_bytes?.query));
    byId("words-text").replaceChildren(...coloured(passage.text, told.document, most, told.unread_bytes?.document));
    byId("words-note").textContent =
      `${told.model}: logit ${number(told.logit)}, without the text ${number(told.baseline.logit)}. ` +
      "Green words raise it, red ones lower it: by how much is seen by pointing at them." +
      (told.partial ? " Time was up before every word was left out (dotted)." : "") +
      (told.truncated ? " What is struck out the model did not read." : "");
  } catch (error) {
    if (mine === asking) byId("words-note").textContent = `which words moved it is not known: ${error.message}`;
  }
}

async function explain(hit, line) {
  for (const other of document.querySelectorAll("tr.open")) other.classList.remove("open");
  line?.classList.add("open");
  remember(hit.id);
  try {
    const reply = await ask("/_quern/explain", request({id: hit.id}));
    const found = reply.hits?.[0] ?? reply;
    const list = element("ul");
    if (found.explanation) list.append(tree(found.explanation));
    byId("explain-tree").replaceChildren(list);
    if (found.trace) byId("explain-tree").append(element("pre", found.trace));
    byId("explain-title").textContent = titleOf(found.source ?? hit.source, hit.id);
    byId("explain").hidden = false;
    byId("explain").scrollIntoView({behavior: "smooth", block: "nearest"});
    await explainWords(reply, found);
  } catch (error) {
    fail(error);
  }
}

/* ---- start ----------------------------------------------------------------------------- */

let tables = [];

/* Pipelines that the chosen table carries, in front of those that are always there. */
function offerPipelines() {
  const chosen = byId("pipeline").value;
  const own = tables.find((t) => (t.name ?? t) === byId("table").value)?.table?.schema?.quern?.pipelines ?? {};
  for (const option of document.querySelectorAll("#pipeline .own")) option.remove();
  const options = Object.keys(own).map((name) => element("option", name, "own"));
  byId("pipeline").options[0].after(...options);
  byId("pipeline").value = chosen;
}

async function start() {
  byId("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
  try {
    const reply = await ask("/_quern/tables");
    tables = reply.tables ?? reply;
    byId("table").replaceChildren(...tables.map((t) => element("option", t.name ?? t)));
    if (tables.length === 0) byId("summary").textContent = "No tables yet.";
  } catch (error) {
    fail(error);
  }
  const asked = new URLSearchParams(location.hash.slice(1));
  if (asked.get("t")) byId("table").value = asked.get("t");
  byId("table").addEventListener("change", offerPipelines);
  offerPipelines();
  if (asked.get("p")) byId("pipeline").value = asked.get("p");
  byId("passages").checked = asked.get("c") === "1";
  if (asked.get("q")) {
    byId("query").value = asked.get("q");
    search(asked.get("e") ?? undefined);
  }
}

start();
