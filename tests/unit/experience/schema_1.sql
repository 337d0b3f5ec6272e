-- The log. Raw facts only: what was decided, what was measured, who changed what. Everything else is folded from it.
-- Times are microseconds since the epoch, UTC.

CREATE TABLE IF NOT EXISTS meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS model_version (
    number        INTEGER PRIMARY KEY,
    version       TEXT NOT NULL UNIQUE,   -- SHA-256 of the specification
    specification BLOB NOT NULL,
    time_us       INTEGER NOT NULL
) STRICT;

-- sequence is also the first part of decision_id, so that a decision is found by its id without a second index.
CREATE TABLE IF NOT EXISTS decision (
    sequence      INTEGER PRIMARY KEY,
    decision_id   BLOB NOT NULL,
    time_us       INTEGER NOT NULL,
    request_id    TEXT,
    unit_id       TEXT NOT NULL,
    task_type     TEXT NOT NULL,
    module        TEXT NOT NULL,
    propensity    REAL NOT NULL CHECK (propensity > 0 AND propensity <= 1),
    source        INTEGER NOT NULL,
    model_version INTEGER NOT NULL REFERENCES model_version (number),
    record        BLOB NOT NULL           -- msgpack, experience/record.py
) STRICT;

CREATE UNIQUE INDEX IF NOT EXISTS decision_request ON decision (request_id) WHERE request_id IS NOT NULL;

-- One row per signal value, in the order in which they are learned.
CREATE TABLE IF NOT EXISTS signal_value (
    sequence          INTEGER PRIMARY KEY,
    decision_sequence INTEGER NOT NULL REFERENCES decision (sequence),
    signal            INTEGER NOT NULL,
    value             REAL NOT NULL,
    time_us           INTEGER NOT NULL,
    learned           INTEGER NOT NULL,   -- 0: another module ran than the decided one, so the propensity is not its
    served_module     TEXT,               -- as reported; NULL if not
    UNIQUE (decision_sequence, signal)
) STRICT;

-- Outcomes that came before their decision; moved to signal_value when it comes.
CREATE TABLE IF NOT EXISTS parked_signal (
    request_id    TEXT NOT NULL,
    signal        INTEGER NOT NULL,
    value         REAL NOT NULL,
    time_us       INTEGER NOT NULL,
    served_module TEXT,
    PRIMARY KEY (request_id, signal)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS module (
    position INTEGER PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    module   BLOB NOT NULL                -- msgpack, request.py
) STRICT;

-- Every change of what the policy may do; the last row is in force.
CREATE TABLE IF NOT EXISTS mode_change (
    sequence      INTEGER PRIMARY KEY,
    time_us       INTEGER NOT NULL,
    mode          INTEGER NOT NULL,
    rollout_share REAL NOT NULL,
    actor         TEXT NOT NULL,
    reason        TEXT NOT NULL
) STRICT;
