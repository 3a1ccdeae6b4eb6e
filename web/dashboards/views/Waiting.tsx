/** A project without rows: how to record the first one, and a light that turns green when it is here. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { Icon } from "../controls/Icon";
import { ROOT } from "../model/address";
import { caller } from "../model/caller";
import { catalogue, hasArrived, loadCatalogue } from "../model/state";

const BASE = ROOT.href.replace(/\/$/, "");
const COPIED_MS = 1500;

/** Return the snippets by their name; a service that asks for keys gets a place for one. */
function snippets(isOpen: boolean): Record<string, string> {
  const shell = isOpen ? "" : ' \\\n  -H "Authorization: Bearer $ANALYTICS_KEY"';
  const python = isOpen ? "" : '\n        "Authorization": f"Bearer {key}",';
  const script = isOpen ? "" : "\n    Authorization: `Bearer ${key}`,";
  return {
    curl: `curl -X POST ${BASE}/events${shell} \\
  -H "Content-Type: application/json" \\
  -d '{"event_name": "page_view", "user_id": "ann", "properties": {"page": "/pricing"}}'`,
    Python: `import json
from urllib.request import Request, urlopen

event = {"event_name": "page_view", "user_id": "ann", "properties": {"page": "/pricing"}}
urlopen(
    Request(
        "${BASE}/events",
        json.dumps(event).encode(),${python ? `\n        {\n            "Content-Type": "application/json",\n            "Authorization": f"Bearer {key}",\n        },` : `\n        {"Content-Type": "application/json"},`}
    )
)`,
    JavaScript: `await fetch("${BASE}/events", {
  method: "POST",
  keepalive: true,
  headers: {
    "Content-Type": "application/json",${script}
  },
  body: JSON.stringify({
    event_name: "page_view",
    user_id: "ann",
    properties: { page: location.pathname },
  }),
});`,
  };
}

function Snippet({ name, text }: { name: string; text: string }): JSX.Element {
  const [isCopied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    // Browsers have a clipboard on https and localhost only.
    await navigator.clipboard?.writeText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), COPIED_MS);
  };
  return (
    <figure class="snippet">
      <pre tabIndex={0} aria-label={`An event with ${name}`}>
        <code>{text}</code>
      </pre>
      {navigator.clipboard && (
        <button type="button" class="button small" onClick={copy}>
          {isCopied ? "Copied" : "Copy"}
        </button>
      )}
    </figure>
  );
}

export function Waiting(): JSX.Element {
  const texts = snippets(caller.value?.is_open ?? true);
  const [name, setName] = useState("curl");
  return (
    <section class="waiting">
      <h1>Record your first event</h1>
      <p class="lead">
        Copy one of these into a shell or into your program. The project is <b>{catalogue.value?.viewer?.project ?? "default"}</b>; its dashboard
        fills as events arrive.
      </p>
      <div class="panel">
        <header>
          <h2 class="tabs">
            {Object.keys(texts).map((title) => (
              <button key={title} type="button" aria-pressed={title === name} onClick={() => setName(title)}>
                {title}
              </button>
            ))}
          </h2>
        </header>
        <Snippet name={name} text={texts[name]!} />
      </div>
      <p class={hasArrived.value ? "arrival arrived" : "arrival"} role="status">
        <span class="light">{hasArrived.value && <Icon name="check" />}</span>
        {hasArrived.value ? "Your first event is here." : "Waiting for the first event…"}
        {hasArrived.value && (
          <button type="button" class="button main" onClick={() => void loadCatalogue()}>
            Open the dashboard
          </button>
        )}
      </p>
    </section>
  );
}
