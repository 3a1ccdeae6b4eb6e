/** The GraphQL explorer: GraphiQL with our examples in its tabs, and links to operations. */

import "graphiql/setup-workers/vite";
import "graphiql/style.css";
import "@graphiql/plugin-explorer/style.css";
import "./explorer.css";

import { explorerPlugin } from "@graphiql/plugin-explorer";
import { ToolbarButton, useGraphiQL } from "@graphiql/react";
import { createGraphiQLFetcher } from "@graphiql/toolkit";
import { GraphiQL, HISTORY_PLUGIN } from "graphiql";
import { createElement as h, Fragment, type ReactElement, useState } from "react";
import { createRoot } from "react-dom/client";

import { examples } from "./examples";
import { linked, linkTo } from "./link";

const page = new URL(location.href);
const send = createGraphiQLFetcher({ url: page.pathname });
// The editor names the operation 0.1 s late: who pastes a query and runs it at once means that one.
const fetcher: typeof send = (asked, options) => {
  const named = asked.operationName && new RegExp(`\\b${asked.operationName}\\b`).test(asked.query);
  return send(named ? asked : { ...asked, operationName: undefined }, options);
};
const plugins = [HISTORY_PLUGIN, explorerPlugin({ showAttribution: false })];

/** Makes a link to the operation in the editor: in the address bar, and in the clipboard. */
function LinkButton(): ReactElement {
  const [copied, setCopied] = useState(false);
  const query = useGraphiQL((state) => state.queryEditor);
  const variables = useGraphiQL((state) => state.variableEditor);
  const link = async () => {
    const operation = { query: query?.getValue() ?? "", variables: variables?.getValue() ?? null };
    const address = linkTo(operation, page);
    history.replaceState(null, "", address);
    // Browsers have a clipboard on https and localhost only; the address bar is everywhere.
    await navigator.clipboard?.writeText(address);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  const label = copied ? "The link is in the address bar" : "Link to this operation";
  return h(ToolbarButton, { label, onClick: link }, h(LinkIcon));
}

function LinkIcon(): ReactElement {
  const path = "M6 8.5a3 3 0 0 0 4.3 0l2.3-2.3a3 3 0 0 0-4.3-4.3L7.5 2.7M8 5.5a3 3 0 0 0-4.3 0L1.4 7.8a3 3 0 0 0 4.3 4.3l.8-.8";
  return h(
    "svg",
    { className: "graphiql-toolbar-icon", viewBox: "0 0 14 14", fill: "none", stroke: "currentColor", "aria-hidden": true },
    h("path", { d: path, strokeWidth: 1.3, strokeLinecap: "round" }),
  );
}

interface Caller {
  is_open: boolean;
  person: string | null;
  scopes: string[];
}

function Pages({ caller }: { caller: Caller | null }): ReactElement {
  return h(
    "nav",
    { "aria-label": "Pages" },
    h("a", { href: "./" }, "Analytics Service"),
    h("a", { href: "docs" }, "REST API"),
    caller?.person && h("a", { href: "sign-in", title: "Signed in. Sign out here." }, caller.person),
  );
}

function Explorer({ caller }: { caller: Caller | null }): ReactElement {
  const operation = linked(page);
  return h(
    GraphiQL,
    {
      fetcher,
      plugins,
      defaultTabs: operation ? [operation, ...examples] : examples,
      ...(operation && { initialQuery: operation.query, initialVariables: operation.variables ?? "" }),
      defaultEditorToolsVisibility: true,
    },
    h(GraphiQL.Logo, null, h(Pages, { caller })),
    h(GraphiQL.Toolbar, {
      children: ({ prettify, merge, copy }) => h(Fragment, null, prettify, merge, copy, h(LinkButton)),
    }),
  );
}

async function show(): Promise<void> {
  const response = await fetch("session").catch(() => null);
  const caller: Caller | null = response?.ok ? await response.json() : null;
  if (caller && !caller.scopes.length) {
    location.replace(`sign-in?${new URLSearchParams({ next: `graphql${page.search}` })}`);
  } else {
    createRoot(document.getElementById("explorer")!).render(h(Explorer, { caller }));
  }
}

show();
