-- Keys of the HTTP API: what each allows and its HMAC-SHA256, never the key itself. A row stays when
-- the key is revoked, so that its prefix keeps its meaning in the audit.
CREATE TABLE keys (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    prefix     TEXT    NOT NULL UNIQUE,
    hash       BLOB    NOT NULL,
    scope      TEXT    NOT NULL,
    -- The agent that the key is bound to.
    agent      TEXT,
    note       TEXT    NOT NULL,
    made_by    TEXT    NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    -- By the hour.
    used_ms    INTEGER,
    revoked_ms INTEGER
) STRICT;

-- Who did what: commands, keys, log-ins, refusals.
CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    time_ms INTEGER NOT NULL,
    who     TEXT    NOT NULL,
    source  TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    target  TEXT    NOT NULL,
    why     TEXT    NOT NULL,
    result  TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_who ON audit (who);
CREATE INDEX audit_action ON audit (action);
