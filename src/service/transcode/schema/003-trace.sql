-- The traceparent of what the job came from (an upload's request), '' where its trace is not recorded.
ALTER TABLE transcode_job ADD COLUMN trace TEXT NOT NULL DEFAULT '';
