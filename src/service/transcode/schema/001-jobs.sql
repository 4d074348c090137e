-- One row a job, kept when it has ended, so that an event told twice makes no second one.
-- subject_id is a track (kinds first, ladder) or a picture (cover, version 0). A lease is the number
-- that the worker which holds the job puts behind each of its writes; owner tells which process.
CREATE TABLE transcode_job (
    id BIGINT PRIMARY KEY,
    kind TEXT NOT NULL,
    subject_id BIGINT NOT NULL,
    version BIGINT NOT NULL,
    priority BIGINT NOT NULL,
    bucket TEXT NOT NULL,
    object_key TEXT NOT NULL,
    state TEXT NOT NULL,
    step TEXT NOT NULL,
    tries BIGINT NOT NULL,
    claims BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    lease BIGINT,
    lease_until BIGINT NOT NULL,
    owner TEXT NOT NULL,
    code TEXT NOT NULL,
    reason TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE UNIQUE INDEX transcode_job_by_subject ON transcode_job (subject_id, version, kind);
CREATE INDEX transcode_job_open ON transcode_job (priority, id)
    WHERE state IN ('waiting', 'running');

-- What is stored already of a version whose ladder is not whole: the file's name, and in detail the
-- rendition as JSON. A version's rows go when its ladder is whole.
CREATE TABLE transcode_step (
    track_id BIGINT NOT NULL,
    version BIGINT NOT NULL,
    name TEXT NOT NULL,
    detail TEXT NOT NULL,
    done_at BIGINT NOT NULL,
    PRIMARY KEY (track_id, version, name)
);
