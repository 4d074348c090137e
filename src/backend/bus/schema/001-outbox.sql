CREATE TABLE bus_outbox (
    sequence BIGINT PRIMARY KEY,
    id BIGINT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    entity_key TEXT NOT NULL,
    payload TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE TABLE bus_consumer (
    name TEXT PRIMARY KEY,
    position BIGINT NOT NULL,
    owner BIGINT NOT NULL,
    lease_until BIGINT NOT NULL
);
CREATE TABLE bus_waiting (
    consumer TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    entity_key TEXT NOT NULL,
    tries BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    parked_at BIGINT,
    error TEXT,
    PRIMARY KEY (consumer, sequence)
);
CREATE INDEX bus_waiting_by_key ON bus_waiting (consumer, entity_key, sequence);
CREATE INDEX bus_waiting_by_time ON bus_waiting (next_at, consumer);
CREATE INDEX bus_waiting_by_sequence ON bus_waiting (sequence);
CREATE INDEX bus_waiting_parked ON bus_waiting (consumer) WHERE parked_at IS NOT NULL;
