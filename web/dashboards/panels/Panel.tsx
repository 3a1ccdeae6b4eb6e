/** The frame of a panel: its heading, and a menu to take away what it shows. */

import type { ComponentChildren, JSX } from "preact";

import { Menu } from "../controls/Menu";
import type { Document } from "../model/documents";
import { download, explorerLink, type Table, toCsv, toJson } from "../model/exports";

interface Properties {
  title: string;
  class?: string;
  heading?: ComponentChildren;
  actions?: ComponentChildren;
  document: Document<unknown, unknown>;
  variables: object;
  /** What is on screen; null while there is nothing. */
  table: (() => Table) | null;
  children: ComponentChildren;
}

export function Panel({ title, class: kind = "", heading, actions, document, variables, table, children }: Properties): JSX.Element {
  const name = title.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
  const save = (close: () => void, format: "csv" | "json"): void => {
    const content = table!();
    if (format === "csv") {
      download(`${name}.csv`, "text/csv;charset=utf-8", toCsv(content));
    } else {
      download(`${name}.json`, "application/json", toJson(content));
    }
    close();
  };
  return (
    <section class={`panel ${kind}`} aria-label={title}>
      <header>
        {heading ?? <h2>{title}</h2>}
        <div class="actions">
          {actions}
          <Menu name={`${title}: more`} icon="dots" side="right">
            {(close) => (
              <ul class="choices">
                <li>
                  <a href={explorerLink(document, variables)} target="_blank" rel="noopener">
                    Open in the explorer
                  </a>
                </li>
                <li>
                  <button type="button" disabled={!table} onClick={() => save(close, "csv")}>
                    Download CSV
                  </button>
                </li>
                <li>
                  <button type="button" disabled={!table} onClick={() => save(close, "json")}>
                    Download JSON
                  </button>
                </li>
              </ul>
            )}
          </Menu>
        </div>
      </header>
      {children}
    </section>
  );
}
