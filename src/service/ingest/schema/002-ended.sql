CREATE INDEX upload_ended ON upload (expires_at) WHERE state IN ('used', 'aborted')
