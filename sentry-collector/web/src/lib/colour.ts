/** A colour as a canvas takes it: it knows neither variables nor `light-dark()`, so the browser resolves them. */
export function resolve(host: HTMLElement, value: string): string {
  const probe = document.createElement("span");
  probe.style.color = value;
  (host.parentElement ?? host).append(probe);
  const resolved = getComputedStyle(probe).color;
  probe.remove();
  return resolved;
}
