/** The start page: health of the service, row counts, and the arrival of the first rows. */

import { caller } from "./session.js";

const EVERY_MS = 2000;
const NUMBER = new Intl.NumberFormat("en");

const NOW = "{ health { status checks } ingestion { stream stored } }";
// The counts read every name, so they are asked for once; what is stored since then is added.
const COUNTS = "{ overview { metricCount eventCount } ingestion { stream stored } }";
// Who may not see the counters of the service asks for the counts of his project, at times.
const COUNTS_OF_PROJECT = "{ health { status checks } overview { metricCount eventCount } }";
const COUNTS_EVERY_MS = 10_000;

/** @param {string} id */
function element(id) {
  const found = document.getElementById(id);
  if (!found) {
    throw new Error(`no #${id}`);
  }
  return found;
}

/** @param {string} query */
async function ask(query) {
  const response = await fetch("graphql", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ query }),
  });
  const { data } = await response.json();
  return data;
}

/** @param {{ingestion: {stream: string, stored: number}[]}} data */
function stored({ ingestion }) {
  return Object.fromEntries(ingestion.map((each) => [each.stream, Number(each.stored)]));
}

/** @param {string} text @param {"good" | "bad" | ""} kind @param {string[]} problems */
function showStatus(text, kind, problems = []) {
  const status = element("status");
  if (status.textContent !== text) {
    status.textContent = text; // only then: a screen reader says each change
  }
  status.className = `status ${kind}`;
  const list = element("problems");
  list.hidden = problems.length === 0;
  list.replaceChildren(
    ...problems.map((problem) => {
      const item = document.createElement("li");
      item.textContent = problem;
      return item;
    }),
  );
}

/** @param {number} count */
function showArrival(count) {
  const arrival = element("arrival");
  const text = count ? "Stored: both APIs return it." : "Waiting for the first row…";
  if (arrival.textContent !== text) {
    arrival.textContent = text;
    arrival.className = count ? "good" : "";
  }
  arrival.hidden = false;
}

/** @param {{status: string, checks: Record<string, string>}} health */
function showHealth({ status, checks }) {
  const good = status === "OK";
  const problems = Object.entries(checks).map(([part, what]) => `${part}: ${what}`);
  showStatus(good ? "Ready" : "Degraded", good ? "good" : "bad", problems);
}

/** @param {number} metrics @param {number} events */
function showCounts(metrics, events) {
  element("metric-count").textContent = NUMBER.format(metrics);
  element("event-count").textContent = NUMBER.format(events);
}

/** @param {boolean} mayQuery */
function hideFigures(mayQuery) {
  for (const id of mayQuery ? ["rate"] : ["rate", "metric-count", "event-count"]) {
    element(id).parentElement?.toggleAttribute("hidden", true);
  }
  element("sign-in").hidden = mayQuery;
}

/** Shows what a caller may see who is not signed in, or not as an operator. @param {boolean} mayQuery */
async function refreshFor(mayQuery) {
  hideFigures(mayQuery);
  if (mayQuery) {
    const { health, overview } = await ask(COUNTS_OF_PROJECT);
    showHealth(health);
    showCounts(overview.metricCount, overview.eventCount);
  } else {
    const { ok } = await fetch("readyz");
    showStatus(ok ? "Ready" : "Degraded", ok ? "good" : "bad");
  }
}

let counted = { metrics: 0, events: 0 };
/** @type {Record<string, number> | null} what was stored when it was counted */
let base = null;
let wasEmpty = false;
let last = { rows: 0, at: 0 };

/** @returns {Promise<void>} */
async function refresh() {
  if (!base) {
    const data = await ask(COUNTS);
    if (!data?.overview) {
      throw new Error("no counts");
    }
    base = stored(data);
    counted = { metrics: data.overview.metricCount, events: data.overview.eventCount };
    wasEmpty = counted.metrics + counted.events === 0;
  }
  const data = await ask(NOW);
  showHealth(data.health);
  const now = stored(data);
  if ((now.metrics ?? 0) < (base.metrics ?? 0) || (now.events ?? 0) < (base.events ?? 0)) {
    base = null; // the service was started again
    return refresh();
  }
  const metrics = counted.metrics + (now.metrics ?? 0) - (base.metrics ?? 0);
  const events = counted.events + (now.events ?? 0) - (base.events ?? 0);
  showCounts(metrics, events);
  const rows = (now.metrics ?? 0) + (now.events ?? 0);
  const at = performance.now();
  const rate = last.at ? ((rows - last.rows) * 1000) / (at - last.at) : 0;
  element("rate").textContent = NUMBER.format(rate < 10 ? Math.round(rate * 10) / 10 : Math.round(rate));
  last = { rows, at };
  if (wasEmpty) {
    showArrival(metrics + events);
  }
}

async function watch() {
  let pause = EVERY_MS;
  if (!document.hidden) {
    try {
      const { scopes } = await caller;
      if (scopes.includes("OPERATE")) {
        await refresh();
      } else {
        await refreshFor(scopes.includes("QUERY"));
        pause = COUNTS_EVERY_MS;
      }
    } catch {
      base = null; // it may come back with other counts
      last = { rows: 0, at: 0 };
      showStatus("Not reachable", "bad");
    }
  }
  setTimeout(watch, pause);
}

/** Shows where the key goes, in a service that needs one. */
async function showKeys() {
  const { is_open } = await caller;
  for (const code of is_open ? [] : document.querySelectorAll(".snippet code")) {
    code.textContent = (code.textContent ?? "").replace(" -H ", ' -H "Authorization: Bearer $KEY" \\\n  -H ');
  }
}

const address = new URL("./", location.href).href.replace(/\/$/, "");
for (const snippet of document.querySelectorAll(".snippet")) {
  const code = snippet.querySelector("code");
  const button = snippet.querySelector("button");
  if (code && button) {
    code.textContent = (code.textContent ?? "").replace("http://localhost:3011", address);
    button.addEventListener("click", async () => {
      const text = code.textContent ?? "";
      if (navigator.clipboard) {
        await navigator.clipboard.writeText(text);
        button.textContent = "Copied";
        setTimeout(() => (button.textContent = "Copy"), 1500);
      } else {
        getSelection()?.selectAllChildren(code); // there is no clipboard on plain http
      }
    });
  }
}
showKeys().catch(() => {}); // the page works without it
watch();
