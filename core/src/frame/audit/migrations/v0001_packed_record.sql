-- Schema version 1 as it was published, statement by statement; a line of two dashes ends each.
--
CREATE TABLE migrations (
	number INTEGER NOT NULL,
	name TEXT NOT NULL,
	applied_us BIGINT NOT NULL,
	PRIMARY KEY (number)
)
--
CREATE TABLE numbers (
	n INTEGER NOT NULL,
	PRIMARY KEY (n)
)
--
CREATE TABLE run_headers (
	run INTEGER NOT NULL,
	run_id TEXT NOT NULL,
	pipeline TEXT NOT NULL,
	config BLOB NOT NULL,
	config_sha256 BLOB NOT NULL,
	graph_sha256 BLOB NOT NULL,
	settings TEXT NOT NULL,
	seed BIGINT NOT NULL,
	frame_version TEXT NOT NULL,
	python_version TEXT NOT NULL,
	host TEXT NOT NULL,
	pid INTEGER NOT NULL,
	started_us BIGINT NOT NULL,
	PRIMARY KEY (run),
	UNIQUE (run_id)
)
--
CREATE TABLE nodes (
	run INTEGER NOT NULL,
	node INTEGER NOT NULL,
	name TEXT NOT NULL,
	kind TEXT NOT NULL,
	plugin TEXT,
	package TEXT,
	distribution TEXT,
	version TEXT,
	record_sha256 TEXT,
	api INTEGER,
	determinism TEXT,
	options TEXT NOT NULL,
	PRIMARY KEY (run, node),
	FOREIGN KEY(run) REFERENCES run_headers (run)
)
 WITHOUT ROWID
--
CREATE TABLE run_changes (
	run INTEGER NOT NULL,
	number INTEGER NOT NULL,
	block INTEGER NOT NULL,
	kind TEXT NOT NULL,
	status TEXT NOT NULL,
	at_us BIGINT NOT NULL,
	detail TEXT NOT NULL,
	PRIMARY KEY (run, number),
	UNIQUE (run, block),
	FOREIGN KEY(run) REFERENCES run_headers (run)
)
 WITHOUT ROWID
--
CREATE TABLE heads (
	run INTEGER NOT NULL,
	n INTEGER NOT NULL,
	epoch INTEGER NOT NULL,
	PRIMARY KEY (run),
	FOREIGN KEY(run) REFERENCES run_headers (run)
)
--
CREATE TABLE run_leases (
	run INTEGER NOT NULL,
	epoch INTEGER NOT NULL,
	host TEXT NOT NULL,
	pid INTEGER NOT NULL,
	expires_us BIGINT NOT NULL,
	PRIMARY KEY (run),
	FOREIGN KEY(run) REFERENCES run_headers (run)
)
--
CREATE TABLE chunks (
	run INTEGER NOT NULL,
	chunk INTEGER NOT NULL,
	block INTEGER NOT NULL,
	opened_us BIGINT NOT NULL,
	events INTEGER NOT NULL,
	payload_blocks INTEGER NOT NULL,
	first_token BIGINT,
	source_position TEXT,
	PRIMARY KEY (run, chunk),
	UNIQUE (run, block),
	FOREIGN KEY(run) REFERENCES run_headers (run)
)
--
CREATE TABLE edges (
	run INTEGER NOT NULL,
	edge INTEGER NOT NULL,
	origin INTEGER NOT NULL,
	target INTEGER NOT NULL,
	label TEXT NOT NULL,
	mode TEXT NOT NULL,
	PRIMARY KEY (run, edge),
	FOREIGN KEY(run, origin) REFERENCES nodes (run, node),
	FOREIGN KEY(run, target) REFERENCES nodes (run, node)
)
 WITHOUT ROWID
--
CREATE TABLE error_clauses (
	run INTEGER NOT NULL,
	node INTEGER NOT NULL,
	clause INTEGER NOT NULL,
	target INTEGER,
	PRIMARY KEY (run, node, clause),
	FOREIGN KEY(run, node) REFERENCES nodes (run, node),
	FOREIGN KEY(run, target) REFERENCES nodes (run, node)
)
 WITHOUT ROWID
--
CREATE TABLE segments (
	run INTEGER NOT NULL,
	chunk INTEGER NOT NULL,
	position INTEGER NOT NULL,
	part INTEGER NOT NULL,
	kind TEXT NOT NULL,
	node INTEGER,
	status TEXT,
	visit INTEGER,
	attempt INTEGER,
	size INTEGER NOT NULL,
	first_token BIGINT,
	high_token BIGINT,
	old_tokens SMALLINT NOT NULL,
	token_width INTEGER NOT NULL,
	visit_width INTEGER NOT NULL,
	started_us BIGINT,
	duration_us BIGINT,
	label TEXT,
	mode TEXT,
	reached_limit SMALLINT,
	clause INTEGER,
	target INTEGER,
	batch INTEGER,
	members INTEGER,
	opened_us BIGINT,
	intent INTEGER,
	path TEXT,
	first_row BIGINT,
	fan INTEGER,
	first_child BIGINT,
	children INTEGER,
	first_group BIGINT,
	group_width INTEGER,
	groups TEXT,
	path_codes TEXT,
	visits TEXT,
	tokens TEXT,
	PRIMARY KEY (run, chunk, position, part),
	FOREIGN KEY(run, chunk) REFERENCES chunks (run, chunk),
	FOREIGN KEY(run, node) REFERENCES nodes (run, node),
	CHECK (size >= 0)
)
--
CREATE TABLE errors (
	run INTEGER NOT NULL,
	chunk INTEGER NOT NULL,
	position INTEGER NOT NULL,
	type TEXT NOT NULL,
	message TEXT NOT NULL,
	attempts INTEGER NOT NULL,
	retryable SMALLINT NOT NULL,
	traceback TEXT,
	PRIMARY KEY (run, chunk, position),
	FOREIGN KEY(run, chunk) REFERENCES chunks (run, chunk)
)
--
CREATE TABLE intents (
	run INTEGER NOT NULL,
	chunk INTEGER NOT NULL,
	position INTEGER NOT NULL,
	node INTEGER NOT NULL,
	intent INTEGER NOT NULL,
	rows INTEGER NOT NULL,
	paths TEXT NOT NULL,
	content_sha256 BLOB NOT NULL,
	write_key TEXT NOT NULL,
	PRIMARY KEY (run, node, intent),
	FOREIGN KEY(run, chunk) REFERENCES chunks (run, chunk),
	FOREIGN KEY(run, node) REFERENCES nodes (run, node)
)
 WITHOUT ROWID
--
CREATE TABLE artifacts (
	run INTEGER NOT NULL,
	chunk INTEGER NOT NULL,
	position INTEGER NOT NULL,
	node INTEGER NOT NULL,
	uri TEXT NOT NULL,
	size_bytes BIGINT,
	sha256 BLOB,
	rows BIGINT,
	PRIMARY KEY (run, chunk, position),
	FOREIGN KEY(run, chunk) REFERENCES chunks (run, chunk),
	FOREIGN KEY(run, node) REFERENCES nodes (run, node)
)
 WITHOUT ROWID
--
CREATE TABLE calls (
	run INTEGER NOT NULL,
	chunk INTEGER NOT NULL,
	position INTEGER NOT NULL,
	node INTEGER NOT NULL,
	visit INTEGER NOT NULL,
	token BIGINT,
	attempt INTEGER NOT NULL,
	kind TEXT NOT NULL,
	number INTEGER NOT NULL,
	request_sha256 BLOB NOT NULL,
	answer_sha256 BLOB,
	status TEXT NOT NULL,
	started_us BIGINT NOT NULL,
	duration_us BIGINT NOT NULL,
	PRIMARY KEY (run, chunk, position),
	FOREIGN KEY(run, chunk) REFERENCES chunks (run, chunk),
	FOREIGN KEY(run, node) REFERENCES nodes (run, node)
)
 WITHOUT ROWID
--
CREATE TABLE notes (
	run INTEGER NOT NULL,
	chunk INTEGER NOT NULL,
	position INTEGER NOT NULL,
	kind TEXT NOT NULL,
	at_us BIGINT NOT NULL,
	node INTEGER,
	detail TEXT NOT NULL,
	PRIMARY KEY (run, chunk, position),
	FOREIGN KEY(run, chunk) REFERENCES chunks (run, chunk),
	FOREIGN KEY(run, node) REFERENCES nodes (run, node)
)
 WITHOUT ROWID
--
CREATE TABLE payload_blocks (
	run INTEGER NOT NULL,
	chunk INTEGER NOT NULL,
	number INTEGER NOT NULL,
	part INTEGER NOT NULL,
	kind TEXT NOT NULL,
	node INTEGER NOT NULL,
	visit INTEGER NOT NULL,
	intent INTEGER NOT NULL,
	size INTEGER NOT NULL,
	first_token BIGINT,
	high_token BIGINT,
	old_tokens SMALLINT NOT NULL,
	token_width INTEGER NOT NULL,
	raw_bytes BIGINT NOT NULL,
	tokens TEXT,
	digests BLOB,
	data BLOB NOT NULL,
	PRIMARY KEY (run, chunk, number, part),
	FOREIGN KEY(run, chunk) REFERENCES chunks (run, chunk),
	FOREIGN KEY(run, node) REFERENCES nodes (run, node)
)
--
CREATE TABLE segment_digests (
	run INTEGER NOT NULL,
	chunk INTEGER NOT NULL,
	position INTEGER NOT NULL,
	part INTEGER NOT NULL,
	digests BLOB NOT NULL,
	PRIMARY KEY (run, chunk, position, part),
	FOREIGN KEY(run, chunk, position, part) REFERENCES segments (run, chunk, position, part)
)
--
CREATE TABLE confirmations (
	run INTEGER NOT NULL,
	chunk INTEGER NOT NULL,
	position INTEGER NOT NULL,
	node INTEGER NOT NULL,
	intent INTEGER NOT NULL,
	sink_position TEXT,
	started_us BIGINT NOT NULL,
	duration_us BIGINT NOT NULL,
	rejected INTEGER NOT NULL,
	PRIMARY KEY (run, node, intent),
	FOREIGN KEY(run, node, intent) REFERENCES intents (run, node, intent),
	FOREIGN KEY(run, chunk) REFERENCES chunks (run, chunk)
)
 WITHOUT ROWID
--
CREATE TABLE payload_digests (
	run INTEGER NOT NULL,
	digest BLOB NOT NULL,
	chunk INTEGER NOT NULL,
	number INTEGER NOT NULL,
	part INTEGER NOT NULL,
	item INTEGER NOT NULL,
	PRIMARY KEY (run, digest),
	FOREIGN KEY(run, chunk, number, part) REFERENCES payload_blocks (run, chunk, number, part)
)
 WITHOUT ROWID
--
CREATE TABLE rejections (
	run INTEGER NOT NULL,
	node INTEGER NOT NULL,
	intent INTEGER NOT NULL,
	number INTEGER NOT NULL,
	token BIGINT NOT NULL,
	reason TEXT NOT NULL,
	fallback INTEGER,
	PRIMARY KEY (run, node, intent, number),
	UNIQUE (run, node, intent, token),
	FOREIGN KEY(run, node, intent) REFERENCES confirmations (run, node, intent),
	FOREIGN KEY(run, fallback) REFERENCES nodes (run, node)
)
 WITHOUT ROWID
--
CREATE INDEX chunks_by_token ON chunks (run, first_token)
--
CREATE INDEX segments_of_failures ON segments (run, first_token, chunk, position) WHERE kind IN ('failed', 'row_invalid')
--
CREATE INDEX segments_of_old_tokens ON segments (run, high_token, first_token) WHERE old_tokens = 1
--
CREATE INDEX segments_of_rows ON segments (run, first_row) WHERE first_row IS NOT NULL
--
CREATE INDEX segments_of_intents ON segments (run, node, intent) WHERE intent IS NOT NULL
--
CREATE INDEX segments_of_batches ON segments (run, batch) WHERE batch IS NOT NULL
--
CREATE INDEX calls_by_token ON calls (run, token)
--
CREATE INDEX payload_blocks_of_old_tokens ON payload_blocks (run, high_token, first_token) WHERE old_tokens = 1
--
CREATE INDEX rejections_by_token ON rejections (run, token)
--
CREATE TRIGGER migrations_no_update BEFORE UPDATE ON migrations BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: UPDATE on migrations'); END
--
CREATE TRIGGER migrations_no_delete BEFORE DELETE ON migrations BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: DELETE on migrations'); END
--
CREATE TRIGGER numbers_no_update BEFORE UPDATE ON numbers BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: UPDATE on numbers'); END
--
CREATE TRIGGER numbers_no_delete BEFORE DELETE ON numbers BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: DELETE on numbers'); END
--
CREATE TRIGGER run_headers_no_update BEFORE UPDATE ON run_headers BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: UPDATE on run_headers'); END
--
CREATE TRIGGER run_headers_no_delete BEFORE DELETE ON run_headers BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: DELETE on run_headers'); END
--
CREATE TRIGGER chunks_no_update BEFORE UPDATE ON chunks BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: UPDATE on chunks'); END
--
CREATE TRIGGER chunks_no_delete BEFORE DELETE ON chunks BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: DELETE on chunks'); END
--
CREATE TRIGGER nodes_no_update BEFORE UPDATE ON nodes BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: UPDATE on nodes'); END
--
CREATE TRIGGER nodes_no_delete BEFORE DELETE ON nodes BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: DELETE on nodes'); END
--
CREATE TRIGGER run_changes_no_update BEFORE UPDATE ON run_changes BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: UPDATE on run_changes'); END
--
CREATE TRIGGER run_changes_no_delete BEFORE DELETE ON run_changes BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: DELETE on run_changes'); END
--
CREATE TRIGGER artifacts_no_update BEFORE UPDATE ON artifacts BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: UPDATE on artifacts'); END
--
CREATE TRIGGER artifacts_no_delete BEFORE DELETE ON artifacts BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: DELETE on artifacts'); END
--
CREATE TRIGGER calls_no_update BEFORE UPDATE ON calls BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: UPDATE on calls'); END
--
CREATE TRIGGER calls_no_delete BEFORE DELETE ON calls BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: DELETE on calls'); END
--
CREATE TRIGGER edges_no_update BEFORE UPDATE ON edges BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: UPDATE on edges'); END
--
CREATE TRIGGER edges_no_delete BEFORE DELETE ON edges BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: DELETE on edges'); END
--
CREATE TRIGGER error_clauses_no_update BEFORE UPDATE ON error_clauses BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: UPDATE on error_clauses'); END
--
CREATE TRIGGER error_clauses_no_delete BEFORE DELETE ON error_clauses BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: DELETE on error_clauses'); END
--
CREATE TRIGGER errors_no_update BEFORE UPDATE ON errors BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: UPDATE on errors'); END
--
CREATE TRIGGER errors_no_delete BEFORE DELETE ON errors BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: DELETE on errors'); END
--
CREATE TRIGGER intents_no_update BEFORE UPDATE ON intents BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: UPDATE on intents'); END
--
CREATE TRIGGER intents_no_delete BEFORE DELETE ON intents BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: DELETE on intents'); END
--
CREATE TRIGGER notes_no_update BEFORE UPDATE ON notes BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: UPDATE on notes'); END
--
CREATE TRIGGER notes_no_delete BEFORE DELETE ON notes BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: DELETE on notes'); END
--
CREATE TRIGGER payload_blocks_no_update BEFORE UPDATE ON payload_blocks BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: UPDATE on payload_blocks'); END
--
CREATE TRIGGER payload_blocks_no_delete BEFORE DELETE ON payload_blocks BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: DELETE on payload_blocks'); END
--
CREATE TRIGGER segments_no_update BEFORE UPDATE ON segments BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: UPDATE on segments'); END
--
CREATE TRIGGER segments_no_delete BEFORE DELETE ON segments BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: DELETE on segments'); END
--
CREATE TRIGGER confirmations_no_update BEFORE UPDATE ON confirmations BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: UPDATE on confirmations'); END
--
CREATE TRIGGER confirmations_no_delete BEFORE DELETE ON confirmations BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: DELETE on confirmations'); END
--
CREATE TRIGGER payload_digests_no_update BEFORE UPDATE ON payload_digests BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: UPDATE on payload_digests'); END
--
CREATE TRIGGER payload_digests_no_delete BEFORE DELETE ON payload_digests BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: DELETE on payload_digests'); END
--
CREATE TRIGGER segment_digests_no_update BEFORE UPDATE ON segment_digests BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: UPDATE on segment_digests'); END
--
CREATE TRIGGER segment_digests_no_delete BEFORE DELETE ON segment_digests BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: DELETE on segment_digests'); END
--
CREATE TRIGGER rejections_no_update BEFORE UPDATE ON rejections BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: UPDATE on rejections'); END
--
CREATE TRIGGER rejections_no_delete BEFORE DELETE ON rejections BEGIN SELECT RAISE(ABORT, 'the audit record is append-only: DELETE on rejections'); END
--
CREATE VIEW runs AS
SELECT h.run, h.run_id, h.pipeline, c.status, h.started_us,
       CASE WHEN c.status = 'running' THEN NULL ELSE c.at_us END AS ended_us,
       h.config, h.config_sha256, h.graph_sha256, h.settings, h.seed, h.frame_version, h.python_version,
       h.host, h.pid, l.expires_us AS lease_expires_us, c.detail
FROM run_headers h
JOIN run_changes c ON c.run = h.run
     AND c.number = (SELECT max(x.number) FROM run_changes x WHERE x.run = h.run)
JOIN run_leases l ON l.run = h.run
--
CREATE VIEW run_events AS
SELECT run, block, NULL AS chunk, NULL AS position, kind, status, at_us, NULL AS node, detail FROM run_changes
UNION ALL
SELECT n.run, c.block, n.chunk, n.position, n.kind, NULL, n.at_us, n.node, n.detail
FROM notes n JOIN chunks c ON c.run = n.run AND c.chunk = n.chunk
--
CREATE VIEW rows AS SELECT s.run, s.first_row + k.n AS "row", s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END AS token, s.chunk, s.position,
        (SELECT substr(d.digests, k.n * 32 + 1, 32) FROM segment_digests d WHERE d.run = s.run AND d.chunk = s.chunk AND d.position = s.position AND d.part = s.part) AS digest, CASE WHEN s.kind = 'rows_read' THEN 1 ELSE 0 END AS valid FROM segments s  CROSS JOIN numbers k  WHERE k.n < s.size AND s.first_row IS NOT NULL
--
CREATE VIEW validation_errors AS
SELECT s.run, s.chunk, s.position, s.first_row AS "row", s.first_token AS token, s.label AS place, s.target AS sink,
       e.type AS error_type, e.message AS error_message, d.digests AS digest
FROM segments s
JOIN errors e ON e.run = s.run AND e.chunk = s.chunk AND e.position = s.position
JOIN segment_digests d ON d.run = s.run AND d.chunk = s.chunk AND d.position = s.position AND d.part = s.part
WHERE s.kind = 'row_invalid'
--
CREATE VIEW tokens AS SELECT s.run, s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END AS token, s.chunk, s.position, 'source' AS origin, s.first_row + k.n AS "row",
            0 AS node, (SELECT substr(d.digests, k.n * 32 + 1, 32) FROM segment_digests d WHERE d.run = s.run AND d.chunk = s.chunk AND d.position = s.position AND d.part = s.part) AS digest FROM segments s  CROSS JOIN numbers k  WHERE k.n < s.size AND s.first_row IS NOT NULL UNION ALL SELECT s.run, s.first_child + k.n, s.chunk, s.position,
            CASE s.kind WHEN 'routed' THEN 'fork' WHEN 'expanded' THEN 'expansion' WHEN 'merged' THEN 'merge' WHEN 'batch_flushed' THEN 'batch' END,
            NULL, s.node, CASE WHEN s.kind = 'routed' THEN NULL ELSE (SELECT substr(d.digests, k.n * 32 + 1, 32) FROM segment_digests d WHERE d.run = s.run AND d.chunk = s.chunk AND d.position = s.position AND d.part = s.part) END FROM segments s  CROSS JOIN numbers k  WHERE k.n < s.children AND s.first_child IS NOT NULL
--
CREATE VIEW batch_members AS SELECT s.run, s.batch, s.node, s.chunk, s.position, s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END AS token, s.visit + CASE WHEN s.visit_width = 0 THEN 0 ELSE CAST(substr(s.visits, k.n * s.visit_width + 1, s.visit_width) AS INTEGER) END AS visit, s.part * 2500 + k.n AS place FROM segments s  CROSS JOIN numbers k  WHERE k.n < s.size AND s.kind = 'buffered'
--
CREATE VIEW batch_outputs AS SELECT s.run, s.batch, s.node, s.chunk, s.position, s.first_child + k.n AS token, (SELECT substr(d.digests, k.n * 32 + 1, 32) FROM segment_digests d WHERE d.run = s.run AND d.chunk = s.chunk AND d.position = s.position AND d.part = s.part) AS digest FROM segments s  CROSS JOIN numbers k  WHERE k.n < s.children AND s.kind = 'batch_flushed'
--
CREATE VIEW batches AS
SELECT b.run, b.batch, b.node, b.opened_us, b.members,
       CASE e.kind WHEN 'batch_flushed' THEN 'completed' WHEN 'batch_failed' THEN 'failed' ELSE 'draft' END AS status,
       e.label AS triggered_by, e.mode, e.chunk AS ended_chunk, e.position AS ended_position, e.started_us,
       e.duration_us,
       (SELECT count(*) FROM segments a WHERE a.run = b.run AND a.batch = b.batch
          AND a.kind = 'batch_attempt_failed') AS failed_attempts
FROM (SELECT s.run, s.batch, s.node, min(s.opened_us) AS opened_us, sum(s.size) AS members
      FROM segments s WHERE s.batch IS NOT NULL AND s.kind = 'buffered' GROUP BY s.run, s.batch, s.node) b
LEFT JOIN segments e ON e.run = b.run AND e.batch = b.batch AND e.part = 0
     AND e.kind IN ('batch_flushed', 'batch_failed')
--
CREATE VIEW token_parents AS SELECT s.run, s.first_child + k.n AS token, s.first_token + CASE WHEN s.token_width = 0 THEN (k.n / NULLIF(s.fan, 0)) ELSE CAST(substr(s.tokens, (k.n / NULLIF(s.fan, 0)) * s.token_width + 1, s.token_width) AS BIGINT) END AS parent, 'fork' AS kind, s.chunk, s.position FROM segments s  CROSS JOIN numbers k  WHERE k.n < s.children AND s.kind = 'routed' AND s.fan > 0 UNION ALL SELECT s.run, s.first_child + k.n, (SELECT p.first_token FROM segments p WHERE p.run = s.run AND p.chunk = s.chunk AND p.position = s.position AND p.part = 0), 'expansion', s.chunk, s.position FROM segments s  CROSS JOIN numbers k  WHERE k.n < s.children AND s.kind = 'expanded' UNION ALL SELECT s.run, s.first_child + k.n / NULLIF(s.fan, 0), s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END, 'merge', s.chunk, s.position FROM segments s  CROSS JOIN numbers k  WHERE k.n < s.size AND s.kind = 'merged' AND s.fan > 0 UNION ALL
        SELECT o.run, o.token, m.token, 'batch', o.chunk, o.position
        FROM batch_outputs o JOIN batch_members m ON m.run = o.run AND m.batch = o.batch
--
CREATE VIEW node_states AS SELECT s.run, s.chunk, s.position, s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END AS token, s.visit + CASE WHEN s.visit_width = 0 THEN 0 ELSE CAST(substr(s.visits, k.n * s.visit_width + 1, s.visit_width) AS INTEGER) END AS visit, s.attempt, s.node,
        CASE WHEN c.intent IS NULL THEN s.status WHEN r.token IS NULL THEN 'completed' ELSE 'failed' END AS status,
        CASE WHEN s.kind = 'visited' THEN substr(d.digests, k.n * 32 + 1, 32) END AS output_digest,
        COALESCE(s.started_us, c.started_us) AS started_us,
        CASE WHEN s.kind IN ('attempt_failed', 'expanded') OR s.size = 1 THEN s.duration_us END AS duration_us,
        COALESCE(s.duration_us, c.duration_us) AS segment_duration_us,
        s.size AS segment_visits,
        CASE WHEN s.kind = 'attempt_failed' THEN e.type WHEN s.kind = 'merge_late' THEN 'LateAtMerge'
             WHEN r.token IS NOT NULL THEN 'SinkRejected' END AS error_type,
        CASE WHEN s.kind = 'attempt_failed' THEN e.message ELSE r.reason END AS error_message FROM segments s
LEFT JOIN confirmations c ON c.run = s.run AND c.node = s.node AND c.intent = s.intent
LEFT JOIN errors e ON e.run = s.run AND e.chunk = s.chunk AND e.position = s.position
LEFT JOIN segment_digests d ON d.run = s.run AND d.chunk = s.chunk AND d.position = s.position AND d.part = s.part
 CROSS JOIN numbers k
LEFT JOIN rejections r ON r.run = s.run AND r.node = s.node AND r.intent = s.intent
     AND r.token = CASE WHEN c.rejected > 0 THEN s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END END
 WHERE k.n < s.size AND s.status IS NOT NULL
--
CREATE VIEW routing_events AS SELECT s.run, s.chunk, s.position, s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END AS token, s.visit + CASE WHEN s.visit_width = 0 THEN 0 ELSE CAST(substr(s.visits, k.n * s.visit_width + 1, s.visit_width) AS INTEGER) END AS visit, s.node, s.label, s.mode,
            NULL AS clause, s.reached_limit FROM segments s  CROSS JOIN numbers k  WHERE k.n < s.size AND s.kind = 'routed' UNION ALL
        SELECT s.run, s.chunk, s.position, s.first_token, s.visit, s.node, 'on_error', 'error', s.clause,
               s.reached_limit
        FROM segments s WHERE s.kind = 'failed' AND s.clause IS NOT NULL
         UNION ALL
        SELECT s.run, s.chunk, s.position, s.first_token, 0, 0, 'on_invalid', 'error', NULL, 0
        FROM segments s WHERE s.kind = 'row_invalid' AND s.target IS NOT NULL
--
CREATE VIEW sink_intents AS
SELECT i.run, i.node, i.intent, i.chunk, i.position, i.rows, i.content_sha256, i.write_key,
       CASE WHEN c.intent IS NULL THEN 'intended' ELSE 'confirmed' END AS status,
       c.chunk AS confirmed_chunk, c.sink_position, c.started_us, c.duration_us, c.rejected
FROM intents i LEFT JOIN confirmations c ON c.run = i.run AND c.node = i.node AND c.intent = i.intent
--
CREATE VIEW payloads AS
SELECT run, chunk, number, part, kind, node, visit, intent, size AS items, raw_bytes, length(data) AS stored_bytes
FROM payload_blocks
--
CREATE VIEW token_outcomes AS SELECT s.run, s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END AS token, c.chunk, c.position, CASE COALESCE(s.path, CASE substr(s.path_codes, k.n + 1, 1) WHEN 'd' THEN 'default_flow' WHEN 'g' THEN 'gate_routed' WHEN 'k' THEN 'gate_discarded' WHEN 'r' THEN 'dropped' WHEN 'e' THEN 'error_routed' WHEN 'c' THEN 'error_discarded' WHEN 'u' THEN 'unhandled' WHEN 'i' THEN 'invalid_at_source' WHEN 's' THEN 'sink_rejected' WHEN 'l' THEN 'late_at_merge' WHEN 'n' THEN 'merge_incomplete' WHEN 'v' THEN 'visit_limit' WHEN 'a' THEN 'abandoned' WHEN 'f' THEN 'forked' WHEN 'x' THEN 'expanded' WHEN 'm' THEN 'merged' WHEN 'b' THEN 'batched' END) WHEN 'default_flow' THEN 'success' WHEN 'gate_routed' THEN 'success' WHEN 'gate_discarded' THEN 'success' WHEN 'dropped' THEN 'success' WHEN 'error_routed' THEN 'failure' WHEN 'error_discarded' THEN 'failure' WHEN 'unhandled' THEN 'failure' WHEN 'invalid_at_source' THEN 'failure' WHEN 'sink_rejected' THEN 'failure' WHEN 'late_at_merge' THEN 'failure' WHEN 'merge_incomplete' THEN 'failure' WHEN 'visit_limit' THEN 'failure' WHEN 'abandoned' THEN 'failure' WHEN 'forked' THEN 'transient' WHEN 'expanded' THEN 'transient' WHEN 'merged' THEN 'transient' WHEN 'batched' THEN 'transient' END AS outcome, COALESCE(s.path, CASE substr(s.path_codes, k.n + 1, 1) WHEN 'd' THEN 'default_flow' WHEN 'g' THEN 'gate_routed' WHEN 'k' THEN 'gate_discarded' WHEN 'r' THEN 'dropped' WHEN 'e' THEN 'error_routed' WHEN 'c' THEN 'error_discarded' WHEN 'u' THEN 'unhandled' WHEN 'i' THEN 'invalid_at_source' WHEN 's' THEN 'sink_rejected' WHEN 'l' THEN 'late_at_merge' WHEN 'n' THEN 'merge_incomplete' WHEN 'v' THEN 'visit_limit' WHEN 'a' THEN 'abandoned' WHEN 'f' THEN 'forked' WHEN 'x' THEN 'expanded' WHEN 'm' THEN 'merged' WHEN 'b' THEN 'batched' END) AS path, s.node AS node, CASE WHEN COALESCE(s.path, CASE substr(s.path_codes, k.n + 1, 1) WHEN 'd' THEN 'default_flow' WHEN 'g' THEN 'gate_routed' WHEN 'k' THEN 'gate_discarded' WHEN 'r' THEN 'dropped' WHEN 'e' THEN 'error_routed' WHEN 'c' THEN 'error_discarded' WHEN 'u' THEN 'unhandled' WHEN 'i' THEN 'invalid_at_source' WHEN 's' THEN 'sink_rejected' WHEN 'l' THEN 'late_at_merge' WHEN 'n' THEN 'merge_incomplete' WHEN 'v' THEN 'visit_limit' WHEN 'a' THEN 'abandoned' WHEN 'f' THEN 'forked' WHEN 'x' THEN 'expanded' WHEN 'm' THEN 'merged' WHEN 'b' THEN 'batched' END) = 'sink_rejected' THEN (SELECT r.node FROM rejections r WHERE r.run = s.run AND r.token = s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END AND r.fallback = s.node) ELSE s.node END AS sink, CASE WHEN COALESCE(s.path, CASE substr(s.path_codes, k.n + 1, 1) WHEN 'd' THEN 'default_flow' WHEN 'g' THEN 'gate_routed' WHEN 'k' THEN 'gate_discarded' WHEN 'r' THEN 'dropped' WHEN 'e' THEN 'error_routed' WHEN 'c' THEN 'error_discarded' WHEN 'u' THEN 'unhandled' WHEN 'i' THEN 'invalid_at_source' WHEN 's' THEN 'sink_rejected' WHEN 'l' THEN 'late_at_merge' WHEN 'n' THEN 'merge_incomplete' WHEN 'v' THEN 'visit_limit' WHEN 'a' THEN 'abandoned' WHEN 'f' THEN 'forked' WHEN 'x' THEN 'expanded' WHEN 'm' THEN 'merged' WHEN 'b' THEN 'batched' END) = 'sink_rejected' THEN s.node END AS fallback, CAST(NULL AS TEXT) AS reason, CASE WHEN COALESCE(s.path, CASE substr(s.path_codes, k.n + 1, 1) WHEN 'd' THEN 'default_flow' WHEN 'g' THEN 'gate_routed' WHEN 'k' THEN 'gate_discarded' WHEN 'r' THEN 'dropped' WHEN 'e' THEN 'error_routed' WHEN 'c' THEN 'error_discarded' WHEN 'u' THEN 'unhandled' WHEN 'i' THEN 'invalid_at_source' WHEN 's' THEN 'sink_rejected' WHEN 'l' THEN 'late_at_merge' WHEN 'n' THEN 'merge_incomplete' WHEN 'v' THEN 'visit_limit' WHEN 'a' THEN 'abandoned' WHEN 'f' THEN 'forked' WHEN 'x' THEN 'expanded' WHEN 'm' THEN 'merged' WHEN 'b' THEN 'batched' END) IN ('error_routed', 'invalid_at_source') THEN (SELECT e.type FROM segments f JOIN errors e ON e.run = f.run AND e.chunk = f.chunk AND e.position = f.position WHERE f.run = s.run AND f.kind IN ('failed', 'row_invalid') AND f.first_token = s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END ORDER BY f.chunk DESC, f.position DESC LIMIT 1) WHEN COALESCE(s.path, CASE substr(s.path_codes, k.n + 1, 1) WHEN 'd' THEN 'default_flow' WHEN 'g' THEN 'gate_routed' WHEN 'k' THEN 'gate_discarded' WHEN 'r' THEN 'dropped' WHEN 'e' THEN 'error_routed' WHEN 'c' THEN 'error_discarded' WHEN 'u' THEN 'unhandled' WHEN 'i' THEN 'invalid_at_source' WHEN 's' THEN 'sink_rejected' WHEN 'l' THEN 'late_at_merge' WHEN 'n' THEN 'merge_incomplete' WHEN 'v' THEN 'visit_limit' WHEN 'a' THEN 'abandoned' WHEN 'f' THEN 'forked' WHEN 'x' THEN 'expanded' WHEN 'm' THEN 'merged' WHEN 'b' THEN 'batched' END) = 'sink_rejected' THEN 'SinkRejected' END AS error_type, CASE WHEN COALESCE(s.path, CASE substr(s.path_codes, k.n + 1, 1) WHEN 'd' THEN 'default_flow' WHEN 'g' THEN 'gate_routed' WHEN 'k' THEN 'gate_discarded' WHEN 'r' THEN 'dropped' WHEN 'e' THEN 'error_routed' WHEN 'c' THEN 'error_discarded' WHEN 'u' THEN 'unhandled' WHEN 'i' THEN 'invalid_at_source' WHEN 's' THEN 'sink_rejected' WHEN 'l' THEN 'late_at_merge' WHEN 'n' THEN 'merge_incomplete' WHEN 'v' THEN 'visit_limit' WHEN 'a' THEN 'abandoned' WHEN 'f' THEN 'forked' WHEN 'x' THEN 'expanded' WHEN 'm' THEN 'merged' WHEN 'b' THEN 'batched' END) IN ('error_routed', 'invalid_at_source') THEN (SELECT e.message FROM segments f JOIN errors e ON e.run = f.run AND e.chunk = f.chunk AND e.position = f.position WHERE f.run = s.run AND f.kind IN ('failed', 'row_invalid') AND f.first_token = s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END ORDER BY f.chunk DESC, f.position DESC LIMIT 1) WHEN COALESCE(s.path, CASE substr(s.path_codes, k.n + 1, 1) WHEN 'd' THEN 'default_flow' WHEN 'g' THEN 'gate_routed' WHEN 'k' THEN 'gate_discarded' WHEN 'r' THEN 'dropped' WHEN 'e' THEN 'error_routed' WHEN 'c' THEN 'error_discarded' WHEN 'u' THEN 'unhandled' WHEN 'i' THEN 'invalid_at_source' WHEN 's' THEN 'sink_rejected' WHEN 'l' THEN 'late_at_merge' WHEN 'n' THEN 'merge_incomplete' WHEN 'v' THEN 'visit_limit' WHEN 'a' THEN 'abandoned' WHEN 'f' THEN 'forked' WHEN 'x' THEN 'expanded' WHEN 'm' THEN 'merged' WHEN 'b' THEN 'batched' END) = 'sink_rejected' THEN (SELECT r.reason FROM rejections r WHERE r.run = s.run AND r.token = s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END AND r.fallback = s.node) END AS error_message, CAST(NULL AS BIGINT) AS batch, CAST(NULL AS BIGINT) AS fork_group, CAST(NULL AS BIGINT) AS expand_group, CAST(NULL AS BIGINT) AS merge_group FROM segments s JOIN confirmations c ON c.run = s.run AND c.node = s.node AND c.intent = s.intent CROSS JOIN numbers k  WHERE k.n < s.size AND s.kind = 'sink_intended' AND NOT (c.rejected > 0 AND EXISTS (SELECT 1 FROM rejections r WHERE r.run = s.run AND r.node = s.node AND r.intent = s.intent AND r.token = s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END)) UNION ALL
        SELECT r.run, r.token, c.chunk, c.position, 'failure', 'sink_rejected', r.node, r.node, CAST(NULL AS BIGINT), CAST(NULL AS TEXT),
               'SinkRejected', r.reason, CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), CAST(NULL AS BIGINT), CAST(NULL AS BIGINT)
        FROM rejections r
        JOIN confirmations c ON c.run = r.run AND c.node = r.node AND c.intent = r.intent
        WHERE r.fallback IS NULL
         UNION ALL SELECT s.run, s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END AS token, s.chunk, s.position, 'success' AS outcome, 'gate_discarded' AS path, s.node AS node, CAST(NULL AS BIGINT) AS sink, CAST(NULL AS BIGINT) AS fallback, s.label AS reason, CAST(NULL AS TEXT) AS error_type, CAST(NULL AS TEXT) AS error_message, CAST(NULL AS BIGINT) AS batch, CAST(NULL AS BIGINT) AS fork_group, CAST(NULL AS BIGINT) AS expand_group, CAST(NULL AS BIGINT) AS merge_group FROM segments s  CROSS JOIN numbers k  WHERE k.n < s.size AND s.kind = 'routed' AND s.mode = 'discard' AND s.reached_limit = 0 UNION ALL SELECT s.run, s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END AS token, s.chunk, s.position, 'transient' AS outcome, 'forked' AS path, s.node AS node, CAST(NULL AS BIGINT) AS sink, CAST(NULL AS BIGINT) AS fallback, CAST(NULL AS TEXT) AS reason, CAST(NULL AS TEXT) AS error_type, CAST(NULL AS TEXT) AS error_message, CAST(NULL AS BIGINT) AS batch, s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END AS fork_group, CAST(NULL AS BIGINT) AS expand_group, CAST(NULL AS BIGINT) AS merge_group FROM segments s  CROSS JOIN numbers k  WHERE k.n < s.size AND s.kind = 'routed' AND s.mode = 'fork' AND s.reached_limit = 0 UNION ALL SELECT s.run, s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END AS token, s.chunk, s.position, 'failure' AS outcome, 'visit_limit' AS path, s.node AS node, CAST(NULL AS BIGINT) AS sink, CAST(NULL AS BIGINT) AS fallback, CAST(NULL AS TEXT) AS reason, 'VisitLimit' AS error_type, s.label AS error_message, CAST(NULL AS BIGINT) AS batch, CAST(NULL AS BIGINT) AS fork_group, CAST(NULL AS BIGINT) AS expand_group, CAST(NULL AS BIGINT) AS merge_group FROM segments s  CROSS JOIN numbers k  WHERE k.n < s.size AND s.kind = 'routed' AND s.reached_limit = 1 UNION ALL SELECT s.run, s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END AS token, s.chunk, s.position, 'success' AS outcome, 'dropped' AS path, s.node AS node, CAST(NULL AS BIGINT) AS sink, CAST(NULL AS BIGINT) AS fallback, s.label AS reason, CAST(NULL AS TEXT) AS error_type, CAST(NULL AS TEXT) AS error_message, CAST(NULL AS BIGINT) AS batch, CAST(NULL AS BIGINT) AS fork_group, CAST(NULL AS BIGINT) AS expand_group, CAST(NULL AS BIGINT) AS merge_group FROM segments s  CROSS JOIN numbers k  WHERE k.n < s.size AND s.kind = 'dropped' UNION ALL SELECT s.run, s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END AS token, s.chunk, s.position, 'transient' AS outcome, 'expanded' AS path, s.node AS node, CAST(NULL AS BIGINT) AS sink, CAST(NULL AS BIGINT) AS fallback, CAST(NULL AS TEXT) AS reason, CAST(NULL AS TEXT) AS error_type, CAST(NULL AS TEXT) AS error_message, CAST(NULL AS BIGINT) AS batch, CAST(NULL AS BIGINT) AS fork_group, s.first_token AS expand_group, CAST(NULL AS BIGINT) AS merge_group FROM segments s  CROSS JOIN numbers k  WHERE k.n < s.size AND s.kind = 'expanded' UNION ALL SELECT s.run, s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END AS token, s.chunk, s.position, 'transient' AS outcome, 'merged' AS path, s.node AS node, CAST(NULL AS BIGINT) AS sink, CAST(NULL AS BIGINT) AS fallback, CAST(NULL AS TEXT) AS reason, CAST(NULL AS TEXT) AS error_type, CAST(NULL AS TEXT) AS error_message, CAST(NULL AS BIGINT) AS batch, CAST(NULL AS BIGINT) AS fork_group, CAST(NULL AS BIGINT) AS expand_group, s.first_group + CASE WHEN s.group_width = 0 THEN (k.n / NULLIF(s.fan, 0)) ELSE CAST(substr(s.groups, (k.n / NULLIF(s.fan, 0)) * s.group_width + 1, s.group_width) AS BIGINT) END AS merge_group FROM segments s  CROSS JOIN numbers k  WHERE k.n < s.size AND s.kind = 'merged' AND s.fan > 0 UNION ALL SELECT s.run, s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END AS token, s.chunk, s.position, 'failure' AS outcome, 'merge_incomplete' AS path, s.node AS node, CAST(NULL AS BIGINT) AS sink, CAST(NULL AS BIGINT) AS fallback, CAST(NULL AS TEXT) AS reason, (SELECT e.type FROM errors e WHERE e.run = s.run AND e.chunk = s.chunk AND e.position = s.position) AS error_type, (SELECT e.message FROM errors e WHERE e.run = s.run AND e.chunk = s.chunk AND e.position = s.position) AS error_message, CAST(NULL AS BIGINT) AS batch, CAST(NULL AS BIGINT) AS fork_group, CAST(NULL AS BIGINT) AS expand_group, s.first_group AS merge_group FROM segments s  CROSS JOIN numbers k  WHERE k.n < s.size AND s.kind = 'merge_failed' UNION ALL SELECT s.run, s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END AS token, s.chunk, s.position, 'failure' AS outcome, 'late_at_merge' AS path, s.node AS node, CAST(NULL AS BIGINT) AS sink, CAST(NULL AS BIGINT) AS fallback, CAST(NULL AS TEXT) AS reason, 'LateAtMerge' AS error_type, 'the merge had been decided' AS error_message, CAST(NULL AS BIGINT) AS batch, CAST(NULL AS BIGINT) AS fork_group, CAST(NULL AS BIGINT) AS expand_group, s.first_group AS merge_group FROM segments s  CROSS JOIN numbers k  WHERE k.n < s.size AND s.kind = 'merge_late' UNION ALL SELECT s.run, s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END AS token, s.chunk, s.position, 'failure' AS outcome, 'abandoned' AS path, s.node AS node, CAST(NULL AS BIGINT) AS sink, CAST(NULL AS BIGINT) AS fallback, CAST(NULL AS TEXT) AS reason, (SELECT e.type FROM errors e WHERE e.run = s.run AND e.chunk = s.chunk AND e.position = s.position) AS error_type, (SELECT e.message FROM errors e WHERE e.run = s.run AND e.chunk = s.chunk AND e.position = s.position) AS error_message, CAST(NULL AS BIGINT) AS batch, CAST(NULL AS BIGINT) AS fork_group, CAST(NULL AS BIGINT) AS expand_group, CAST(NULL AS BIGINT) AS merge_group FROM segments s  CROSS JOIN numbers k  WHERE k.n < s.size AND s.kind = 'abandoned' UNION ALL SELECT s.run, s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END AS token, s.chunk, s.position, 'failure' AS outcome, 'invalid_at_source' AS path, 0 AS node, CAST(NULL AS BIGINT) AS sink, CAST(NULL AS BIGINT) AS fallback, CAST(NULL AS TEXT) AS reason, (SELECT e.type FROM errors e WHERE e.run = s.run AND e.chunk = s.chunk AND e.position = s.position) AS error_type, (SELECT e.message FROM errors e WHERE e.run = s.run AND e.chunk = s.chunk AND e.position = s.position) AS error_message, CAST(NULL AS BIGINT) AS batch, CAST(NULL AS BIGINT) AS fork_group, CAST(NULL AS BIGINT) AS expand_group, CAST(NULL AS BIGINT) AS merge_group FROM segments s  CROSS JOIN numbers k  WHERE k.n < s.size AND s.kind = 'row_invalid' AND s.target IS NULL UNION ALL SELECT s.run, s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END AS token, s.chunk, s.position, 'failure' AS outcome, 'visit_limit' AS path, s.node AS node, CAST(NULL AS BIGINT) AS sink, CAST(NULL AS BIGINT) AS fallback, CAST(NULL AS TEXT) AS reason, (SELECT e.type FROM errors e WHERE e.run = s.run AND e.chunk = s.chunk AND e.position = s.position) AS error_type, (SELECT e.message FROM errors e WHERE e.run = s.run AND e.chunk = s.chunk AND e.position = s.position) AS error_message, CAST(NULL AS BIGINT) AS batch, CAST(NULL AS BIGINT) AS fork_group, CAST(NULL AS BIGINT) AS expand_group, CAST(NULL AS BIGINT) AS merge_group FROM segments s  CROSS JOIN numbers k  WHERE k.n < s.size AND s.kind = 'failed' AND s.reached_limit = 1 UNION ALL SELECT s.run, s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END AS token, s.chunk, s.position, 'failure' AS outcome, 'unhandled' AS path, s.node AS node, CAST(NULL AS BIGINT) AS sink, CAST(NULL AS BIGINT) AS fallback, CAST(NULL AS TEXT) AS reason, (SELECT e.type FROM errors e WHERE e.run = s.run AND e.chunk = s.chunk AND e.position = s.position) AS error_type, (SELECT e.message FROM errors e WHERE e.run = s.run AND e.chunk = s.chunk AND e.position = s.position) AS error_message, CAST(NULL AS BIGINT) AS batch, CAST(NULL AS BIGINT) AS fork_group, CAST(NULL AS BIGINT) AS expand_group, CAST(NULL AS BIGINT) AS merge_group FROM segments s  CROSS JOIN numbers k  WHERE k.n < s.size AND s.kind = 'failed' AND s.reached_limit = 0 AND s.clause IS NULL UNION ALL SELECT s.run, s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END AS token, s.chunk, s.position, 'failure' AS outcome, 'error_discarded' AS path, s.node AS node, CAST(NULL AS BIGINT) AS sink, CAST(NULL AS BIGINT) AS fallback, CAST(NULL AS TEXT) AS reason, (SELECT e.type FROM errors e WHERE e.run = s.run AND e.chunk = s.chunk AND e.position = s.position) AS error_type, (SELECT e.message FROM errors e WHERE e.run = s.run AND e.chunk = s.chunk AND e.position = s.position) AS error_message, CAST(NULL AS BIGINT) AS batch, CAST(NULL AS BIGINT) AS fork_group, CAST(NULL AS BIGINT) AS expand_group, CAST(NULL AS BIGINT) AS merge_group FROM segments s  CROSS JOIN numbers k  WHERE k.n < s.size AND s.kind = 'failed' AND s.reached_limit = 0 AND EXISTS (SELECT 1 FROM error_clauses x WHERE x.run = s.run AND x.node = s.node AND x.clause = s.clause AND x.target IS NULL) UNION ALL
    SELECT s.run, s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END AS token, e.chunk, e.position, 'transient' AS outcome,
           'batched' AS path, s.node AS node, CAST(NULL AS BIGINT) AS sink, CAST(NULL AS BIGINT) AS fallback, CAST(NULL AS TEXT) AS reason, CAST(NULL AS TEXT) AS error_type, CAST(NULL AS TEXT) AS error_message, s.batch AS batch, CAST(NULL AS BIGINT) AS fork_group, CAST(NULL AS BIGINT) AS expand_group, CAST(NULL AS BIGINT) AS merge_group
    FROM segments e JOIN segments s ON s.run = e.run AND s.batch = e.batch CROSS JOIN numbers k
    WHERE k.n < s.size AND s.kind = 'buffered' AND e.batch IS NOT NULL AND e.part = 0 AND e.kind = 'batch_flushed' AND e.mode = 'transform'
     UNION ALL
    SELECT s.run, s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END AS token, e.chunk, e.position, 'failure' AS outcome,
           'unhandled' AS path, s.node AS node, CAST(NULL AS BIGINT) AS sink, CAST(NULL AS BIGINT) AS fallback, CAST(NULL AS TEXT) AS reason, (SELECT x.type FROM errors x WHERE x.run = e.run AND x.chunk = e.chunk AND x.position = e.position) AS error_type, (SELECT x.message FROM errors x WHERE x.run = e.run AND x.chunk = e.chunk AND x.position = e.position) AS error_message, s.batch AS batch, CAST(NULL AS BIGINT) AS fork_group, CAST(NULL AS BIGINT) AS expand_group, CAST(NULL AS BIGINT) AS merge_group
    FROM segments e JOIN segments s ON s.run = e.run AND s.batch = e.batch CROSS JOIN numbers k
    WHERE k.n < s.size AND s.kind = 'buffered' AND e.batch IS NOT NULL AND e.part = 0 AND e.kind = 'batch_failed' AND e.clause IS NULL
     UNION ALL
    SELECT s.run, s.first_token + CASE WHEN s.token_width = 0 THEN k.n ELSE CAST(substr(s.tokens, k.n * s.token_width + 1, s.token_width) AS BIGINT) END AS token, e.chunk, e.position, 'failure' AS outcome,
           'error_discarded' AS path, s.node AS node, CAST(NULL AS BIGINT) AS sink, CAST(NULL AS BIGINT) AS fallback, CAST(NULL AS TEXT) AS reason, (SELECT x.type FROM errors x WHERE x.run = e.run AND x.chunk = e.chunk AND x.position = e.position) AS error_type, (SELECT x.message FROM errors x WHERE x.run = e.run AND x.chunk = e.chunk AND x.position = e.position) AS error_message, s.batch AS batch, CAST(NULL AS BIGINT) AS fork_group, CAST(NULL AS BIGINT) AS expand_group, CAST(NULL AS BIGINT) AS merge_group
    FROM segments e JOIN segments s ON s.run = e.run AND s.batch = e.batch CROSS JOIN numbers k
    WHERE k.n < s.size AND s.kind = 'buffered' AND e.batch IS NOT NULL AND e.part = 0 AND e.kind = 'batch_failed' AND EXISTS (SELECT 1 FROM error_clauses x WHERE x.run = e.run AND x.node = e.node AND x.clause = e.clause AND x.target IS NULL)
