/** What came by the stream, and what was read beside it; both are newest first. */
export function join<T>(fresh: T[], read: T[], id: (item: T) => string): T[] {
  const known = new Set(fresh.map(id));
  return [...fresh, ...read.filter((item) => !known.has(id(item)))];
}
