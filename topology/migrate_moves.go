package topology

// addMoves is version 2: moves of slots, who drives them, and what each proxy still has in use.
const addMoves = `
CREATE TABLE pgring.moves (
	id          bigint PRIMARY KEY,
	group_name  text NOT NULL,
	source      text NOT NULL,
	target      text NOT NULL,
	slots       text NOT NULL,
	state       text NOT NULL,
	term        bigint NOT NULL,
	switched    bigint NOT NULL,
	problem     text NOT NULL,
	paused      boolean NOT NULL,
	created     timestamptz NOT NULL DEFAULT now(),
	changed     timestamptz NOT NULL DEFAULT now(),
	finished    timestamptz,
	waiting_for text NOT NULL DEFAULT '',
	rows_total  bigint,
	rows_copied bigint NOT NULL DEFAULT 0,
	applied     bigint NOT NULL DEFAULT 0,
	lag_bytes   bigint,
	pause_ms    double precision
);
COMMENT ON TABLE pgring.moves IS 'one row for each move of slots, finished ones included; changes of state raise the epoch, the columns from waiting_for on are for people';

CREATE TABLE pgring.controller (
	one         boolean PRIMARY KEY DEFAULT true CHECK (one),
	term        bigint NOT NULL,
	instance    text NOT NULL,
	lease_until timestamptz NOT NULL
);
INSERT INTO pgring.controller (term, instance, lease_until) VALUES (0, '', '-infinity');
COMMENT ON TABLE pgring.controller IS 'which proxy drives the moves; each new one has a higher term';

ALTER TABLE pgring.proxies ADD oldest bigint NOT NULL DEFAULT 0, ADD writing bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN pgring.proxies.oldest IS 'no statement and no open transaction of this proxy uses an older epoch';
COMMENT ON COLUMN pgring.proxies.writing IS 'no statement of this proxy that began before this epoch may still write to slots that move';
`

// allowNoWeight is version 3: a shard may own no slots, only keys that are moved to it.
const allowNoWeight = `
ALTER TABLE pgring.shards DROP CONSTRAINT shards_weight_check, ADD CHECK (weight >= 0);
`

// addReverting is version 4: moves that can be taken back.
const addReverting = `
ALTER TABLE pgring.moves ADD reverted boolean NOT NULL DEFAULT false, ADD reversible_until timestamptz, ADD log_bytes bigint;
COMMENT ON COLUMN pgring.moves.reverted IS 'source and target have changed places since the move was planned';
`

// addProgress is version 5: how quick copies are, and how quick they may be.
const addProgress = `
ALTER TABLE pgring.moves ADD bytes_total bigint, ADD bytes_copied bigint NOT NULL DEFAULT 0, ADD rows_per_s double precision, ADD bytes_per_s double precision;
ALTER TABLE pgring.controller ADD throttle text;
COMMENT ON COLUMN pgring.controller.throttle IS 'what REBALANCE THROTTLE has set, as JSON; NULL: the configuration holds';
`
