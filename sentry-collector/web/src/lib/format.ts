// Numbers and times as text.
const integers = new Intl.NumberFormat("en");
const compacts = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const clocks = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const days = new Intl.DateTimeFormat("en-CA", { year: "numeric", month: "2-digit", day: "2-digit" });

export const count = (value: number): string => integers.format(value);
export const short = (value: number): string => compacts.format(value);

/** `3 s`, `12 min`, `4 h`, `2 d`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 1) return `${Math.round(Math.max(0, ms))} ms`;
  if (seconds < 90) return `${Math.floor(seconds)} s`;
  if (seconds < 5400) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 129_600) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86_400)} d`;
}

export const clockTime = (ms: number): string => clocks.format(ms);
export const moment = (ms: number): string => `${days.format(ms)} ${clocks.format(ms)}`;

export function milliseconds(ms: number): string {
  return `${clocks.format(ms)}.${String(Math.floor(ms) % 1000).padStart(3, "0")}`;
}

/** A time on an axis: as exact as the axis is long. */
export const axisTime = (ms: number, range: [number, number]): string =>
  range[1] - range[0] < 15_000 ? milliseconds(ms) : clocks.format(ms);

export function bytes(value: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (value >= 1024 && at < units.length - 1) {
    value /= 1024;
    at += 1;
  }
  return `${at === 0 ? value : value.toFixed(1)} ${units[at]}`;
}

export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** A number of a calculation. */
export function term(value: number | string): string {
  if (typeof value === "string") return value;
  return Number.isInteger(value) ? count(value) : String(Number(value.toPrecision(4)));
}

/** Of an exact number that travels as text. */
export const fromNs = (value: string | number): number => Number(value) / 1e6;
