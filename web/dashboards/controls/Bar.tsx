/** The bar on top: pages, people now, and what concerns the window. */

import type { JSX } from "preact";

import { addressOf, change, ROOT, view } from "../model/address";
import { caller } from "../model/caller";
import { catalogue, isReachable, isWaiting, usersNow } from "../model/state";
import { nextTheme, theme } from "../model/theme";
import { WindowChoices } from "../views/lazy";
import { Icon } from "./Icon";
import { Menu } from "./Menu";
import { isHelpOpen } from "./window";

const THEME_TITLES = { system: "Colours of the system", light: "Light colours", dark: "Dark colours" } as const;

const PAGES = [["", "Overview"], ["events", "Events"]] as const;

/** Open a page here, unless a key says where else. */
function open(event: MouseEvent, page: string): void {
  if (!event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    change({ page });
  }
}

function address(path: string): string {
  return new URL(path, ROOT).href;
}

function Live(): JSX.Element {
  const count = usersNow.value;
  const text = !isReachable.value ? "Offline" : count === null ? "" : `${count.toLocaleString("en-GB")} online`;
  return (
    <span class={isReachable.value ? "live" : "live offline"} title={isReachable.value ? "Users in the last 5 minutes" : "The service can't be reached"}>
      <i class="light" />
      <span>{text}</span>
    </span>
  );
}

function WindowMenu(): JSX.Element {
  return (
    <Menu name="Window" icon="expand" side="right">
      {(close) => <WindowChoices close={close} />}
    </Menu>
  );
}

export function Bar(): JSX.Element {
  const visitor = caller.value;
  const project = catalogue.value?.viewer?.project;
  return (
    <header class="bar">
      <a class="name" href={ROOT.href}>
        <img src={address("static/favicon.svg")} alt="" />
        <span class="unseen">Analytics Service</span>
        <span class="project">{project ?? ""}</span>
      </a>
      {!isWaiting.value && <Live />}
      <nav aria-label="Pages">
        {PAGES.map(([page, title]) => (
          <a key={page} href={addressOf({ ...view.value, page })} aria-current={page === view.value.page ? "page" : undefined} onClick={(event) => open(event, page)}>
            {title}
          </a>
        ))}
        <a href={address("graphql")}>Explorer</a>
        <a href={address("docs")}>REST API</a>
      </nav>
      <div class="tools">
        <button type="button" class="button bare" aria-label={THEME_TITLES[theme.value]} title={THEME_TITLES[theme.value]} onClick={nextTheme}>
          <Icon name={theme.value} />
        </button>
        <WindowMenu />
        <button type="button" class="button bare" aria-label="Keyboard shortcuts" title="Keyboard shortcuts (?)" onClick={() => (isHelpOpen.value = true)}>
          <Icon name="help" />
        </button>
        {visitor && (visitor.person || !visitor.is_open) && (
          <a class="account" href={address("sign-in")}>
            {visitor.person ?? "Sign in"}
          </a>
        )}
      </div>
    </header>
  );
}
