// Requests to the collector. Every error says what was asked, and what the collector answered.
import { session } from "./session.svelte";
import type { Command, Page } from "./types";

export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

type Query = Record<string, string | number | null | undefined>;

export function query(pairs: Query): string {
  const given = Object.entries(pairs).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const text = new URLSearchParams(given.map(([key, value]) => [key, String(value)])).toString();
  return text === "" ? "" : `?${text}`;
}

export async function request<T>(method: string, path: string, body?: unknown): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && session.current) headers["X-CSRF-Token"] = session.current.csrf;
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers,
      credentials: "same-origin",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new ApiError(0, "The collector does not answer. It may be restarting; this page tries again.");
  }
  const text = await response.text();
  let value: unknown = null;
  try {
    value = text === "" ? null : JSON.parse(text);
  } catch {
    // Not JSON: the status says enough.
  }
  if (!response.ok) {
    if (response.status === 401 && session.state === "in") session.expire();
    throw new ApiError(response.status, reason(value) ?? `The collector answered ${response.status}.`);
  }
  return value as T;
}

export const get = <T>(path: string): Promise<T> => request<T>("GET", path);

/** The newest items of a listing. */
export const list = <T>(name: string, pairs: Query = {}): Promise<Page<T>> =>
  get<Page<T>>(`/api/v1/${name}${query(pairs)}`);

/** Items of a listing, page by page, at most `most`. */
export async function all<T>(name: string, pairs: Query, most: number): Promise<{ items: T[]; more: boolean }> {
  const items: T[] = [];
  let cursor: string | null = null;
  do {
    const page: Page<T> = await list<T>(name, { limit: 1000, ...pairs, cursor });
    items.push(...page.items);
    cursor = page.next_cursor;
  } while (cursor !== null && items.length < most);
  return { items, more: cursor !== null };
}

export const command = (run: string, action: string, reason: string, key: string): Promise<Command> =>
  request<Command>("POST", `/api/v1/runs/${encodeURIComponent(run)}/${action}`, { reason, key });

/** Of RFC 9457. */
function reason(value: unknown): string | null {
  if (typeof value !== "object" || value === null) return null;
  const problem = value as { detail?: unknown; title?: unknown };
  for (const text of [problem.detail, problem.title]) {
    if (typeof text === "string" && text !== "") return text;
  }
  return null;
}

export function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A key of a command: the same key is the same command, however often it is sent. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `ui-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
