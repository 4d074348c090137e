CREATE TABLE IF NOT EXISTS db_migration (
    component TEXT NOT NULL,
    number BIGINT NOT NULL,
    checksum TEXT NOT NULL,
    applied_at BIGINT NOT NULL,
    PRIMARY KEY (component, number)
);
CREATE TABLE IF NOT EXISTS db_position (
    id BIGINT PRIMARY KEY,
    position BIGINT NOT NULL
);
INSERT INTO db_position (id, position) VALUES (1, 1) ON CONFLICT (id) DO NOTHING;
