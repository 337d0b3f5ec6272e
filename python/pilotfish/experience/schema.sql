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

-- One row per signal value, in the order in which they are learned. A signal of a decision has at most one measurement
-- and at most one default.
CREATE TABLE IF NOT EXISTS signal_value (
    sequence          INTEGER PRIMARY KEY,
    decision_sequence INTEGER NOT NULL REFERENCES decision (sequence),
    signal            INTEGER NOT NULL,
    value             REAL NOT NULL,
    time_us           INTEGER NOT NULL,
    learned           INTEGER NOT NULL,   -- 1: yes. 0: another module ran than the decided one, so the propensity is not
                                          -- its. 2: no, it came after its default had been learned. 3: no, learning was
                                          -- paused
    served_module     TEXT,               -- as reported; NULL if not
    kind              INTEGER NOT NULL    -- 0: measured. 1: a lower bound. 2: the default, nobody measured it
) STRICT;

CREATE UNIQUE INDEX IF NOT EXISTS signal_value_once ON signal_value (decision_sequence, signal, kind = 2);

-- Outcomes that came before their decision; moved to signal_value when it comes.
CREATE TABLE IF NOT EXISTS parked_signal (
    request_id    TEXT NOT NULL,
    signal        INTEGER NOT NULL,
    value         REAL NOT NULL,
    time_us       INTEGER NOT NULL,
    served_module TEXT,
    kind          INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (request_id, signal)
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS module (
    position INTEGER PRIMARY KEY,
    name     TEXT NOT NULL UNIQUE,
    module   BLOB NOT NULL                -- msgpack, request.py
) STRICT;

-- When a model took the place of the one before. It has learned at one stroke what the log held up to signal_sequence, each
-- outcome weighed by the changes up to then, and all that came after one by one.
CREATE TABLE IF NOT EXISTS model_birth (
    sequence        INTEGER PRIMARY KEY,
    time_us         INTEGER NOT NULL,
    model_version   INTEGER NOT NULL REFERENCES model_version (number),
    base_version    TEXT NOT NULL,        -- SHA-256 of the configured specification that it grew from
    signal_sequence INTEGER NOT NULL,
    change          BLOB                  -- msgpack, engine/change.py; NULL if the log had only grown
) STRICT;

-- Every change of what the policy may do; the last row is in force. Evidence for a stage is of decisions since the change
-- that began it.
CREATE TABLE IF NOT EXISTS exposure_change (
    sequence      INTEGER PRIMARY KEY,
    time_us       INTEGER NOT NULL,
    action        TEXT NOT NULL,
    actor         TEXT NOT NULL,
    reason        TEXT NOT NULL,
    mode          INTEGER NOT NULL,
    rollout_share REAL NOT NULL,
    policy        TEXT NOT NULL,         -- '' the live model, else a kept version
    control       TEXT NOT NULL,         -- '' the baseline, 'live', or a kept version
    held          INTEGER NOT NULL,      -- 1: nothing is promoted automatically
    paused        INTEGER NOT NULL,      -- 1: outcomes are kept and not learned
    stage         INTEGER NOT NULL,      -- the change that began the stage: this one or one before
    decision_sequence INTEGER NOT NULL,  -- the last decision before it
    signal_sequence   INTEGER NOT NULL,  -- the last signal value before it
    evidence      TEXT NOT NULL          -- JSON: what it rests on; '' for none
) STRICT;

-- The constraints that were configured, so that a decision can be made again after they have changed.
CREATE TABLE IF NOT EXISTS constraint_set (
    number  INTEGER PRIMARY KEY,
    sha256  TEXT NOT NULL UNIQUE,
    time_us INTEGER NOT NULL,
    content BLOB NOT NULL                -- canonical JSON, safety/constraints.py
) STRICT;
