// Who is logged in.
import type { Session } from "./types";

type State = "asking" | "out" | "in";

class Sessions {
  state = $state<State>("asking");
  current = $state<Session | null>(null);
  note = $state("");

  async ask(): Promise<void> {
    const response = await fetch("/api/v1/session", { credentials: "same-origin" }).catch(() => null);
    if (response?.ok) {
      this.current = (await response.json()) as Session;
      this.state = "in";
    } else {
      this.state = "out";
      if (response === null) this.note = "The collector does not answer.";
    }
  }

  async logIn(secret: { key: string } | { token: string }): Promise<string | null> {
    const response = await fetch("/api/v1/session", {
      method: "POST",
      credentials: "same-origin",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(secret),
    }).catch(() => null);
    if (response === null) return "The collector does not answer.";
    if (!response.ok) {
      const problem = (await response.json().catch(() => null)) as { detail?: string } | null;
      return problem?.detail ?? `The collector answered ${response.status}.`;
    }
    this.current = (await response.json()) as Session;
    this.note = "";
    this.state = "in";
    return null;
  }

  async logOut(): Promise<void> {
    const headers = { "X-CSRF-Token": this.current?.csrf ?? "" };
    await fetch("/api/v1/session", { method: "DELETE", credentials: "same-origin", headers }).catch(() => null);
    this.current = null;
    this.state = "out";
  }

  expire(): void {
    this.current = null;
    this.note = "The session has ended: log in again.";
    this.state = "out";
  }

  /** Whether commands are allowed, as far as this page knows. */
  get mayAct(): boolean {
    return this.current?.scopes.some((scope) => scope === "admin" || scope === "operate") ?? false;
  }

  /** Whether everything may be read, and the live stream: a key of one agent may not. */
  get mayFollow(): boolean {
    return this.current?.scopes.includes("readonly") ?? false;
  }

  get isAdmin(): boolean {
    return this.current?.scopes.includes("admin") ?? false;
  }
}

export const session = new Sessions();
