-- stale is 1 where an answer has changed under its ETag through something else (a new name of the
-- artist, another track's loudness): it is then sent whole until a client's write moves the ETag.
ALTER TABLE album ADD COLUMN stale BIGINT NOT NULL DEFAULT 0;
ALTER TABLE track ADD COLUMN stale BIGINT NOT NULL DEFAULT 0
