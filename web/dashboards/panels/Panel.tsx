/** The frame of a panel: its heading, and a menu to take away what it shows. */

import type { ComponentChildren, JSX } from "preact";

import { Menu } from "../controls/Menu";
import type { Document } from "../model/documents";
import type { Table } from "../model/exports";
import { PanelChoices } from "../views/lazy";

/** What one may take away from a panel. */
export interface Takeaway {
  title: string;
  document: Document<unknown, unknown>;
  variables: object;
  /** What is on screen; null while there is nothing. */
  table: (() => Promise<Table>) | null;
}

interface Properties extends Takeaway {
  class?: string;
  heading?: ComponentChildren;
  actions?: ComponentChildren;
  children: ComponentChildren;
}

export function Panel({ title, class: kind = "", heading, actions, document, variables, table, children }: Properties): JSX.Element {
  return (
    <section class={`panel ${kind}`} aria-label={title}>
      <header>
        {heading ?? <h2>{title}</h2>}
        <div class="actions">
          {actions}
          <Menu name={`${title}: more`} icon="dots" side="right">
            {(close) => <PanelChoices {...{ title, document, variables, table, close }} />}
          </Menu>
        </div>
      </header>
      {children}
    </section>
  );
}
