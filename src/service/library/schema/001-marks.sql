-- What a person marked, and the queue. Keyed by user_id first. Times are milliseconds UTC.

-- A favourite, a rating, a follow. Value 0: taken away; the row stays, since another device may
-- bring an older change. Of two changes the later one holds (marks.h).
CREATE TABLE library_mark (
    user_id BIGINT NOT NULL,
    what TEXT NOT NULL,
    kind TEXT NOT NULL,
    id BIGINT NOT NULL,
    value BIGINT NOT NULL,
    changed_at BIGINT NOT NULL,
    device TEXT NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (user_id, what, kind, id)
);
CREATE INDEX library_mark_by_time ON library_mark (user_id, what, kind, changed_at, id) WHERE value <> 0;
CREATE INDEX library_mark_by_revision ON library_mark (user_id, revision);

-- Counts the changes of a person's marks, so that a device asks for those it has not seen.
CREATE TABLE library_person (
    user_id BIGINT NOT NULL PRIMARY KEY,
    revision BIGINT NOT NULL
);

-- What is to be played next, and where it is: two parts, each with its time and device.
CREATE TABLE library_queue (
    user_id BIGINT NOT NULL PRIMARY KEY,
    items TEXT NOT NULL,
    items_at BIGINT NOT NULL,
    items_device TEXT NOT NULL,
    place BIGINT NOT NULL,
    position_ms BIGINT NOT NULL,
    place_at BIGINT NOT NULL,
    place_device TEXT NOT NULL,
    revision BIGINT NOT NULL
)
