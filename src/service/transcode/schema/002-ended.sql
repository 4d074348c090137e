-- For forgetting jobs that ended long ago.
CREATE INDEX transcode_job_ended ON transcode_job (updated_at)
    WHERE state IN ('done', 'failed', 'cancelled');
