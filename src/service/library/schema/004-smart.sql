-- rules of a smart playlist (JSON, smart/smart.h), which has no items; '' for any other.
ALTER TABLE playlist ADD COLUMN rules TEXT NOT NULL DEFAULT ''
