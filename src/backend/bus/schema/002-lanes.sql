CREATE TABLE bus_topic (
    name TEXT PRIMARY KEY,
    partitions BIGINT NOT NULL
);
CREATE TABLE bus_lane (
    consumer TEXT NOT NULL,
    topic TEXT NOT NULL,
    lane BIGINT NOT NULL,
    position BIGINT NOT NULL,
    owner BIGINT NOT NULL,
    PRIMARY KEY (consumer, topic, lane)
);
