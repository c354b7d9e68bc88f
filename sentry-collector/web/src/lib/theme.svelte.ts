// Dark, light, or as the system has it; kept in this browser.
export type Theme = "system" | "dark" | "light";

const KEY = "agentsentry-theme";

function kept(): Theme {
  const value = localStorage.getItem(KEY);
  return value === "dark" || value === "light" ? value : "system";
}

class Choice {
  current = $state<Theme>(kept());

  choose(theme: Theme): void {
    this.current = theme;
    if (theme === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
    applyTheme();
  }
}

export const theme = new Choice();

export function applyTheme(): void {
  const root = document.documentElement;
  if (theme.current === "system") root.removeAttribute("data-theme");
  else root.dataset["theme"] = theme.current;
}
