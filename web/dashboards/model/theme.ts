/** Light and dark: as the system, or as chosen; and the colours for canvases. */

import { effect, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";
const KEY = "analytics.theme";
const THEMES: readonly Theme[] = ["system", "light", "dark"];

function storedTheme(): Theme {
  const name = localStorage.getItem(KEY);
  return THEMES.find((theme) => theme === name) ?? "system";
}

export const theme = signal<Theme>(storedTheme());
/** A count of changes of colours, for what is painted and not styled. */
export const paints = signal(0);

export function nextTheme(): void {
  theme.value = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length]!;
}

export function keepTheme(): () => void {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const paint = (): void => void (paints.value += 1);
  dark.addEventListener("change", paint);
  const stop = effect(() => {
    document.documentElement.dataset["theme"] = theme.value;
    if (theme.value === "system") {
      localStorage.removeItem(KEY);
    } else {
      localStorage.setItem(KEY, theme.value);
    }
    queueMicrotask(paint);
  });
  return () => {
    stop();
    dark.removeEventListener("change", paint);
  };
}

/** Return the colour that a CSS variable has here, such as `rgb(1, 2, 3)`. */
export function colorOf(element: HTMLElement, name: string): string {
  const probe = document.createElement("i");
  probe.style.color = `var(${name})`;
  element.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

/** Return a colour with an opacity. */
export function faded(color: string, opacity: number): string {
  return `color-mix(in srgb, ${color} ${opacity * 100}%, transparent)`;
}
