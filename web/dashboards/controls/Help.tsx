/** The list of keyboard shortcuts. */

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

import { Icon } from "./Icon";
import { SHORTCUTS } from "./shortcuts";
import { isHelpOpen } from "./window";

const NAMES: Readonly<Record<string, string>> = { ArrowLeft: "←", ArrowRight: "→", Escape: "Esc" };

function keyName(key: string): string {
  return NAMES[key] ?? key.toUpperCase();
}

export function Help(): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const close = (): void => void (isHelpOpen.value = false);
  return (
    <dialog ref={dialog} class="help" aria-label="Keyboard shortcuts" onClose={close} onClick={(event) => event.target === dialog.current && close()}>
      <div class="dialog-body">
        <header>
          <h2>Keyboard shortcuts</h2>
          <button type="button" class="button bare" aria-label="Close" onClick={close}>
            <Icon name="close" />
          </button>
        </header>
        <div class="columns">
          {SHORTCUTS.map(({ title, shortcuts }) => (
            <section key={title}>
              <h3>{title}</h3>
              <dl>
                {shortcuts.map((shortcut) => (
                  <div key={shortcut.title}>
                    <dt>{shortcut.title}</dt>
                    <dd>
                      {shortcut.keys.map((key) => (
                        <kbd key={key}>{keyName(key)}</kbd>
                      ))}
                    </dd>
                  </div>
                ))}
              </dl>
            </section>
          ))}
        </div>
      </div>
    </dialog>
  );
}
