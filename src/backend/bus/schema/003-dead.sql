ALTER TABLE bus_waiting ADD COLUMN told_at BIGINT;
