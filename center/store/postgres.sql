-- Version 1 of the center's store in PostgreSQL (>= 14), in the schema `zhian`. Columns mean what they mean in SQLite.

CREATE TABLE schema_version (version integer NOT NULL);
INSERT INTO schema_version VALUES (1);

CREATE TABLE gateway (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    district      text    NOT NULL,
    site          text    NOT NULL,
    gateway       text    NOT NULL,
    online        boolean NOT NULL DEFAULT false,
    version       text    NOT NULL DEFAULT '',
    simulated     boolean NOT NULL DEFAULT false,
    last_seen_ms  bigint  NOT NULL DEFAULT 0,
    UNIQUE (district, site, gateway)
);

CREATE TABLE epoch (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    gateway_id    bigint  NOT NULL REFERENCES gateway (id),
    epoch         text    NOT NULL,
    stored_upto   bigint  NOT NULL DEFAULT 0,
    known_upto    bigint  NOT NULL DEFAULT 0,
    islands       text    NOT NULL DEFAULT '[]',
    lost          text    NOT NULL DEFAULT '[]',
    UNIQUE (gateway_id, epoch)
);

-- One partition for each UTC day of receipt, made by the writer, dropped by retention. A unique index over all of them
-- would have to contain received_ms and so would not catch a second copy: `epoch` does that. Each partition also has a
-- unique index on (epoch_id, seq), as a second look within its day.
CREATE TABLE event (
    row           bigint   NOT NULL,
    epoch_id      bigint   NOT NULL,
    seq           bigint   NOT NULL,
    time_ms       bigint   NOT NULL,
    received_ms   bigint   NOT NULL,
    clock_certain boolean  NOT NULL,
    simulated     boolean  NOT NULL,
    type          text     NOT NULL,
    severity      smallint NOT NULL,
    subject       text     NOT NULL,
    data          jsonb    NOT NULL,
    address       text,
    grid          text
) PARTITION BY RANGE (received_ms);

CREATE INDEX event_by_row ON event (row);
CREATE INDEX event_by_time ON event (time_ms);
CREATE INDEX event_by_severity ON event (severity, row) WHERE severity >= 2;
CREATE INDEX event_by_grid ON event (grid, row) WHERE grid IS NOT NULL;

CREATE TABLE total (name text PRIMARY KEY, value bigint NOT NULL);
CREATE TABLE tally (
    type          text     NOT NULL,
    severity      smallint NOT NULL,
    count         bigint   NOT NULL,
    PRIMARY KEY (type, severity)
);

CREATE TABLE address (
    district      text NOT NULL,
    site          text NOT NULL,
    gateway       text NOT NULL,
    subject       text NOT NULL,
    address       text NOT NULL,
    grid          text NOT NULL,
    place         text NOT NULL,
    PRIMARY KEY (district, site, gateway, subject)
);

CREATE TABLE webhook (
    endpoint      text   PRIMARY KEY,
    upto_row      bigint NOT NULL,
    delivered     bigint NOT NULL DEFAULT 0,
    failing_since_ms bigint NOT NULL DEFAULT 0,
    problem       text   NOT NULL DEFAULT ''
);

CREATE TABLE dead_letter (
    endpoint      text    NOT NULL,
    row           bigint  NOT NULL,
    made_ms       bigint  NOT NULL,
    attempts      integer NOT NULL,
    problem       text    NOT NULL,
    document      text    NOT NULL,
    retry         integer NOT NULL DEFAULT 0,
    PRIMARY KEY (endpoint, row)
);

CREATE TABLE removal (
    at_ms         bigint PRIMARY KEY,
    before_ms     bigint NOT NULL,
    events        bigint NOT NULL,
    days          text   NOT NULL
);

-- For other systems: names of CloudEvents, real times, and no numbers that only this program understands.
-- A view keeps its columns for good; another shape gets another name.
CREATE VIEW event_v1 AS
SELECT e.row AS position,
       p.epoch || '-' || e.seq AS id,
       '/' || g.district || '/' || g.site || '/' || g.gateway AS source,
       e.type,
       to_timestamp(e.time_ms / 1000.0) AS time,
       e.subject,
       (ARRAY['info', 'notice', 'warning', 'alarm', 'life-safety'])[e.severity + 1] AS severity,
       CASE WHEN e.clock_certain THEN 'synced' ELSE 'uncertain' END AS clock,
       e.simulated,
       e.address,
       e.grid,
       e.data,
       to_timestamp(e.received_ms / 1000.0) AS received,
       e.received_ms,  -- the partitions' key: `received_ms >= ...` reads only the days it needs
       g.district, g.site, g.gateway, p.epoch, e.seq
FROM event e JOIN epoch p ON p.id = e.epoch_id JOIN gateway g ON g.id = p.gateway_id;

CREATE VIEW gateway_v1 AS
SELECT district, site, gateway, online, version, simulated, to_timestamp(last_seen_ms / 1000.0) AS last_seen
FROM gateway;

CREATE VIEW coverage_v1 AS
SELECT g.district, g.site, g.gateway, p.epoch, p.stored_upto, p.known_upto, p.islands::jsonb AS islands,
       p.lost::jsonb AS lost
FROM epoch p JOIN gateway g ON g.id = p.gateway_id;
