/** The menu of a panel: its question in the explorer, and what it shows as a file. */

import type { JSX } from "preact";

import { download, explorerLink, toCsv, toJson } from "../model/exports";
import type { Takeaway } from "./Panel";

export function PanelChoices({ title, document, variables, table, close }: Takeaway & { close: () => void }): JSX.Element {
  const name = title.toLowerCase().replaceAll(/[^a-z0-9]+/g, "-");
  const save = async (format: "csv" | "json"): Promise<void> => {
    const content = await table!();
    if (format === "csv") {
      download(`${name}.csv`, "text/csv;charset=utf-8", toCsv(content));
    } else {
      download(`${name}.json`, "application/json", toJson(content));
    }
    close();
  };
  return (
    <ul class="choices">
      <li>
        <a href={explorerLink(document, variables)} target="_blank" rel="noopener">
          Open in the explorer
        </a>
      </li>
      <li>
        <button type="button" disabled={!table} onClick={() => save("csv")}>
          Download CSV
        </button>
      </li>
      <li>
        <button type="button" disabled={!table} onClick={() => save("json")}>
          Download JSON
        </button>
      </li>
    </ul>
  );
}
