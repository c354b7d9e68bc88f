// The path and query of the page. Links are ordinary links; a click on one of this origin changes
// the path without loading the page again.
class Route {
  path = $state(location.pathname);
  search = $state(location.search);
  params = $derived(new URLSearchParams(this.search));

  constructor() {
    addEventListener("popstate", () => this.read());
    addEventListener("click", (event) => this.click(event));
  }

  go(href: string, replace = false): void {
    const url = new URL(href, location.origin);
    if (replace) history.replaceState(null, "", url);
    else history.pushState(null, "", url);
    const moved = url.pathname !== this.path;
    this.read();
    if (moved) {
      scrollTo(0, 0);
      document.getElementById("main")?.focus({ preventScroll: true });
    }
  }

  /** Changes parts of the query; an empty value removes its key. */
  set(pairs: Record<string, string>, replace = true): void {
    const params = new URLSearchParams(this.search);
    for (const [key, value] of Object.entries(pairs)) {
      if (value === "") params.delete(key);
      else params.set(key, value);
    }
    const text = params.toString();
    this.go(text === "" ? this.path : `${this.path}?${text}`, replace);
  }

  get(key: string): string {
    return this.params.get(key) ?? "";
  }

  private read(): void {
    this.path = location.pathname;
    this.search = location.search;
  }

  private click(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) {
      return;
    }
    const link = event.target instanceof Element ? event.target.closest("a") : null;
    if (!link || link.target !== "" || link.hasAttribute("download") || link.origin !== location.origin) return;
    if (link.pathname.startsWith("/api/") || link.getAttribute("href")?.startsWith("#")) return;
    event.preventDefault();
    this.go(link.href);
  }
}

export const route = new Route();
