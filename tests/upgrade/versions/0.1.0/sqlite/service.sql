BEGIN TRANSACTION;
CREATE TABLE api_token (
	user_id INTEGER NOT NULL, 
	workspace_id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	token_hash VARCHAR(64) NOT NULL, 
	token_prefix VARCHAR(16), 
	expires_on DATETIME, 
	revoked_on DATETIME, 
	uid VARCHAR(32) NOT NULL, 
	created_on DATETIME NOT NULL, 
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT uq_api_token_token_hash UNIQUE (token_hash), 
	CONSTRAINT uq_api_token_uid UNIQUE (uid), 
	CONSTRAINT fk_api_token_user_id FOREIGN KEY(user_id) REFERENCES app_user (id), 
	CONSTRAINT fk_api_token_workspace_id FOREIGN KEY(workspace_id) REFERENCES workspace (id)
);
INSERT INTO "api_token" VALUES(1,1,'bootstrap','9c988efde756caa073cc389710a2fc30cf509de5d7973bb13118b9bc5c942058',NULL,NULL,NULL,'QJCfCfR08Pbw','2026-11-28 08:07:41.565743',1);
INSERT INTO "api_token" VALUES(1,1,'of a user','844fe4cf66393849f152650defdbafc6d56056b14861bccebe6e7194e9e9273f','pmpat_fFc4RV',NULL,NULL,'p0kG44ks7ruI','2026-11-28 08:07:44.074613',2);
CREATE TABLE app_user (
	email VARCHAR(320) NOT NULL, 
	first_name VARCHAR(255) NOT NULL, 
	last_name VARCHAR(255) NOT NULL, 
	last_login DATETIME, 
	uid VARCHAR(32) NOT NULL, 
	created_on DATETIME NOT NULL, 
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT uq_app_user_email UNIQUE (email), 
	CONSTRAINT uq_app_user_uid UNIQUE (uid)
);
INSERT INTO "app_user" VALUES('admin@localhost','Admin','','2026-11-28 08:08:00.604290','sh1LXkPqgV8x','2026-11-28 08:07:41.448539',1);
CREATE TABLE block (
	report_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	type VARCHAR(32) NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	verbose_name VARCHAR(255), 
	content JSON NOT NULL, 
	uid VARCHAR(32) NOT NULL, 
	created_on DATETIME NOT NULL, 
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT uq_block_report_id_name UNIQUE (report_id, name), 
	CONSTRAINT uq_block_uid UNIQUE (uid), 
	CONSTRAINT fk_block_report_id FOREIGN KEY(report_id) REFERENCES report (id) ON DELETE CASCADE
);
INSERT INTO "block" VALUES(1,0,'parameter','month',NULL,'{"default": 1, "type": "integer", "required": false}','VfBLszOhyVEv','2026-11-28 08:07:42.898790',1);
INSERT INTO "block" VALUES(1,1,'parameter','text',NULL,'{"default": "{}", "type": "text", "required": false}','SN2ypATlTWZk','2026-11-28 08:07:42.990914',2);
INSERT INTO "block" VALUES(1,2,'sql','q',NULL,'{"database_id": 1, "sql": "SELECT {{ month }} AS month, json({{ text }}) AS checked"}','NQmF1en1qEDi','2026-11-28 08:07:43.010348',3);
CREATE TABLE block_result (
	run_id INTEGER, 
	query_run_id INTEGER, 
	block_id INTEGER NOT NULL, 
	block_uid VARCHAR(32) NOT NULL, 
	query_id INTEGER, 
	position INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	type VARCHAR(32) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	error TEXT, 
	output TEXT, 
	output_html TEXT, 
	content_hash VARCHAR(64), 
	row_count INTEGER, 
	result_file VARCHAR(255), 
	max_rows INTEGER, 
	timeout_seconds INTEGER, 
	is_truncated BOOLEAN NOT NULL, 
	started_on DATETIME, 
	finished_on DATETIME, 
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT uq_block_result_query_run_id_block_id UNIQUE (query_run_id, block_id), 
	CONSTRAINT uq_block_result_run_id_block_id UNIQUE (run_id, block_id), 
	CONSTRAINT fk_block_result_run_id FOREIGN KEY(run_id) REFERENCES run (id) ON DELETE CASCADE, 
	CONSTRAINT fk_block_result_query_run_id FOREIGN KEY(query_run_id) REFERENCES query_run (id) ON DELETE CASCADE
);
INSERT INTO "block_result" VALUES(1,NULL,1,'VfBLszOhyVEv',NULL,0,'month','parameter','success',NULL,NULL,NULL,'14382b02674afbfda1caba22c05bbecd1fb4adaa088e178d08e2c88b85d22c11',NULL,NULL,NULL,NULL,0,'2026-11-28 08:07:44.984388','2026-11-28 08:07:44.986308',1);
INSERT INTO "block_result" VALUES(1,NULL,2,'SN2ypATlTWZk',NULL,1,'text','parameter','success',NULL,NULL,NULL,'75fef1ba63f7ccd373a210b529f9b1487809b37cf581139689f15217a636d833',NULL,NULL,NULL,NULL,0,'2026-11-28 08:07:45.039360','2026-11-28 08:07:45.039999',2);
INSERT INTO "block_result" VALUES(1,NULL,3,'NQmF1en1qEDi',1,2,'q','sql','success',NULL,NULL,NULL,'14cb15ada36c23a8e8194aabfac4a72030d43f320a9bdc00594a02f5bfd8c0a9',1,'run-1/NQmF1en1qEDi-qWACfgpq5Fo5.parquet',10000000,3600,0,'2026-11-28 08:07:45.076955','2026-11-28 08:07:50.101360',3);
INSERT INTO "block_result" VALUES(2,NULL,1,'VfBLszOhyVEv',NULL,0,'month','parameter','success',NULL,NULL,NULL,'14382b02674afbfda1caba22c05bbecd1fb4adaa088e178d08e2c88b85d22c11',NULL,NULL,NULL,NULL,0,'2026-11-28 08:07:50.640449','2026-11-28 08:07:50.641324',4);
INSERT INTO "block_result" VALUES(2,NULL,2,'SN2ypATlTWZk',NULL,1,'text','parameter','success',NULL,NULL,NULL,'75fef1ba63f7ccd373a210b529f9b1487809b37cf581139689f15217a636d833',NULL,NULL,NULL,NULL,0,'2026-11-28 08:07:50.656623','2026-11-28 08:07:50.657424',5);
INSERT INTO "block_result" VALUES(2,NULL,3,'NQmF1en1qEDi',1,2,'q','sql','failed','malformed JSON',NULL,NULL,'14cb15ada36c23a8e8194aabfac4a72030d43f320a9bdc00594a02f5bfd8c0a9',NULL,NULL,10000000,3600,0,'2026-11-28 08:07:50.679346','2026-11-28 08:07:50.865456',6);
CREATE TABLE data_source (
	workspace_id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	location_encrypted TEXT NOT NULL, 
	uid VARCHAR(32) NOT NULL, 
	created_on DATETIME NOT NULL, 
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT uq_data_source_workspace_id_name UNIQUE (workspace_id, name), 
	CONSTRAINT uq_data_source_uid UNIQUE (uid), 
	CONSTRAINT fk_data_source_workspace_id FOREIGN KEY(workspace_id) REFERENCES workspace (id)
);
INSERT INTO "data_source" VALUES(1,'empty JTcz2iT2BAO5','sqlite','gAAAAABrCovO0uqa0JMIe2s7hhOFDWgu0HrmD3V1ycS2aqzdtUWE9WLbWtJOG5_NR5b9xSx0iYTLhNf4xUKNKtdRP-DSLO7UYZ6N7S27K0UC4aGZKtM4z1Q=','QkeoXvAT4ZP6','2026-11-28 08:07:42.892443',1);
CREATE TABLE deleted_folder (
	kind VARCHAR(16) NOT NULL, 
	run_id INTEGER NOT NULL, 
	due_on DATETIME NOT NULL, 
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT
);
CREATE TABLE deleted_rows (
	workspace_id INTEGER NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	id_range INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT
);
CREATE TABLE delivery (
	workspace_id INTEGER NOT NULL, 
	event_id INTEGER NOT NULL, 
	subscription_id INTEGER NOT NULL, 
	event VARCHAR(64) NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	attempt_count INTEGER NOT NULL, 
	schedule_start INTEGER DEFAULT '0' NOT NULL, 
	worker_id VARCHAR(64), 
	next_attempt_on DATETIME NOT NULL, 
	finished_on DATETIME, 
	uid VARCHAR(32) NOT NULL, 
	created_on DATETIME NOT NULL, 
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT uq_delivery_event_id_subscription_id UNIQUE (event_id, subscription_id), 
	CONSTRAINT uq_delivery_uid UNIQUE (uid), 
	CONSTRAINT fk_delivery_workspace_id FOREIGN KEY(workspace_id) REFERENCES workspace (id), 
	CONSTRAINT fk_delivery_event_id FOREIGN KEY(event_id) REFERENCES outbox_event (id) ON DELETE CASCADE, 
	CONSTRAINT fk_delivery_subscription_id FOREIGN KEY(subscription_id) REFERENCES webhook_subscription (id) ON DELETE CASCADE
);
INSERT INTO "delivery" VALUES(1,1,1,'report.run','delivered',1,0,NULL,'2026-11-28 08:07:50.106234','2026-11-28 08:07:50.443801','OAXdxBFf7T7g','2026-11-28 08:07:50.106681',1);
INSERT INTO "delivery" VALUES(1,2,1,'report.run','delivered',1,0,NULL,'2026-11-28 08:07:50.915744','2026-11-28 08:07:51.124195','nbJDS2ixUZ1O','2026-11-28 08:07:50.915889',2);
CREATE TABLE delivery_attempt (
	delivery_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	started_on DATETIME NOT NULL, 
	duration_ms INTEGER NOT NULL, 
	status_code INTEGER, 
	error TEXT, 
	answer TEXT, 
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT uq_delivery_attempt_delivery_id_number UNIQUE (delivery_id, number), 
	CONSTRAINT fk_delivery_attempt_delivery_id FOREIGN KEY(delivery_id) REFERENCES delivery (id) ON DELETE CASCADE
);
INSERT INTO "delivery_attempt" VALUES(1,1,'2026-11-28 08:07:50.393216',37,202,NULL,'{"id": 1, "outcome": "accepted"}',1);
INSERT INTO "delivery_attempt" VALUES(2,1,'2026-11-28 08:07:51.044093',70,202,NULL,'{"id": 2, "outcome": "accepted"}',2);
CREATE TABLE ended_session (
	sid VARCHAR(32) NOT NULL, 
	until DATETIME NOT NULL, 
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT uq_ended_session_sid UNIQUE (sid)
);
CREATE TABLE installation (
	uid VARCHAR(32) NOT NULL, 
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT uq_installation_uid UNIQUE (uid)
);
INSERT INTO "installation" VALUES('InHEkspDSYlD',1);
CREATE TABLE membership (
	user_id INTEGER NOT NULL, 
	workspace_id INTEGER NOT NULL, 
	role VARCHAR(32) NOT NULL, 
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT uq_membership_user_id_workspace_id UNIQUE (user_id, workspace_id), 
	CONSTRAINT fk_membership_user_id FOREIGN KEY(user_id) REFERENCES app_user (id) ON DELETE CASCADE, 
	CONSTRAINT fk_membership_workspace_id FOREIGN KEY(workspace_id) REFERENCES workspace (id) ON DELETE CASCADE
);
INSERT INTO "membership" VALUES(1,1,'Admin',1);
CREATE TABLE message (
	workspace_id INTEGER NOT NULL, 
	block_result_id INTEGER, 
	kind VARCHAR(16) NOT NULL, 
	recipient VARCHAR(255) NOT NULL, 
	recipient_name VARCHAR(255), 
	subject VARCHAR(255) NOT NULL, 
	text TEXT NOT NULL, 
	formatted TEXT, 
	files JSON NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	attempt_count INTEGER NOT NULL, 
	worker_id VARCHAR(64), 
	next_attempt_on DATETIME NOT NULL, 
	finished_on DATETIME, 
	error TEXT, 
	uid VARCHAR(32) NOT NULL, 
	created_on DATETIME NOT NULL, 
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT uq_message_uid UNIQUE (uid), 
	CONSTRAINT fk_message_workspace_id FOREIGN KEY(workspace_id) REFERENCES workspace (id), 
	CONSTRAINT fk_message_block_result_id FOREIGN KEY(block_result_id) REFERENCES block_result (id) ON DELETE SET NULL
);
CREATE TABLE outbox_event (
	workspace_id INTEGER NOT NULL, 
	event VARCHAR(64) NOT NULL, 
	run_id INTEGER, 
	body TEXT NOT NULL, 
	traceparent VARCHAR(55), 
	uid VARCHAR(32) NOT NULL, 
	created_on DATETIME NOT NULL, 
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT uq_outbox_event_uid UNIQUE (uid), 
	CONSTRAINT fk_outbox_event_workspace_id FOREIGN KEY(workspace_id) REFERENCES workspace (id)
);
INSERT INTO "outbox_event" VALUES(1,'report.run',1,'{"event":"report.run","report_id":1,"report_name":"Made by a test","workspace_id":1,"workspace_name":"Main Workspace","report_notebook_outputs":"http://127.0.0.1:37993/api/reports/1/run/1","queries":[{"query_id":1,"query_name":"q","query_result":"http://127.0.0.1:37993/api/reports/1/queries/1/reportRun/1"}],"timestamp":"2026-11-28T08:07:50+00:00"}',NULL,'msg_EHsVNWR2G6PjcCe5s5i4l3hU','2026-11-28 08:07:50.105389',1);
INSERT INTO "outbox_event" VALUES(1,'report.run',2,'{"event":"report.run","report_id":1,"report_name":"Made by a test","workspace_id":1,"workspace_name":"Main Workspace","report_notebook_outputs":"http://127.0.0.1:37993/api/reports/1/run/2","queries":[{"query_id":1,"query_name":"q","query_result":"http://127.0.0.1:37993/api/reports/1/queries/1/reportRun/2"}],"timestamp":"2026-11-28T08:07:50+00:00"}',NULL,'msg_muCR4VxBi6MAWChtV5sGfYTw','2026-11-28 08:07:50.915545',2);
CREATE TABLE pushmetrics_service_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT pushmetrics_service_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "pushmetrics_service_version" VALUES('0.1_0001');
CREATE TABLE "query" (
	report_id INTEGER NOT NULL, 
	block_id INTEGER NOT NULL, 
	uid VARCHAR(32) NOT NULL, 
	created_on DATETIME NOT NULL, 
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT uq_query_block_id UNIQUE (block_id), 
	CONSTRAINT uq_query_uid UNIQUE (uid), 
	CONSTRAINT fk_query_report_id FOREIGN KEY(report_id) REFERENCES report (id) ON DELETE CASCADE, 
	CONSTRAINT fk_query_block_id FOREIGN KEY(block_id) REFERENCES block (id) ON DELETE CASCADE
);
INSERT INTO "query" VALUES(1,3,'yQt1u88aXUp4','2026-11-28 08:07:43.011395',1);
CREATE TABLE query_run (
	workspace_id INTEGER NOT NULL, 
	report_id INTEGER NOT NULL, 
	block_id INTEGER, 
	query_id INTEGER, 
	status VARCHAR(16) NOT NULL, 
	origin VARCHAR(16) NOT NULL, 
	content JSON, 
	unsaved_block JSON, 
	texts JSON, 
	schedule_id INTEGER, 
	given_parameters JSON NOT NULL, 
	parameters JSON NOT NULL, 
	worker_id VARCHAR(64), 
	report_updated_on DATETIME, 
	lost_workers INTEGER NOT NULL, 
	started_on DATETIME, 
	finished_on DATETIME, 
	error TEXT, 
	uid VARCHAR(32) NOT NULL, 
	created_on DATETIME NOT NULL, 
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT uq_query_run_uid UNIQUE (uid), 
	CONSTRAINT fk_query_run_workspace_id FOREIGN KEY(workspace_id) REFERENCES workspace (id), 
	CONSTRAINT fk_query_run_report_id FOREIGN KEY(report_id) REFERENCES report (id) ON DELETE CASCADE, 
	CONSTRAINT fk_query_run_block_id FOREIGN KEY(block_id) REFERENCES block (id) ON DELETE CASCADE, 
	CONSTRAINT fk_query_run_query_id FOREIGN KEY(query_id) REFERENCES "query" (id) ON DELETE CASCADE
);
CREATE TABLE report (
	workspace_id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	description TEXT NOT NULL, 
	type VARCHAR(32) NOT NULL, 
	folder VARCHAR(255), 
	time_zone VARCHAR(64) NOT NULL, 
	owner_id INTEGER, 
	updated_on DATETIME NOT NULL, 
	uid VARCHAR(32) NOT NULL, 
	created_on DATETIME NOT NULL, 
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT uq_report_uid UNIQUE (uid), 
	CONSTRAINT fk_report_workspace_id FOREIGN KEY(workspace_id) REFERENCES workspace (id), 
	CONSTRAINT fk_report_owner_id FOREIGN KEY(owner_id) REFERENCES app_user (id)
);
INSERT INTO "report" VALUES(1,'Made by a test','','report',NULL,'UTC',NULL,'2026-11-28 08:07:42.897283','jymFf3NyDH3Z','2026-11-28 08:07:42.897313',1);
CREATE TABLE retired_secret (
	subscription_id INTEGER NOT NULL, 
	secret_encrypted TEXT NOT NULL, 
	expires_on DATETIME NOT NULL, 
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT fk_retired_secret_subscription_id FOREIGN KEY(subscription_id) REFERENCES webhook_subscription (id) ON DELETE CASCADE
);
CREATE TABLE row_count (
	workspace_id INTEGER NOT NULL, 
	kind VARCHAR(32) NOT NULL, 
	until INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT uq_row_count_workspace_id_kind UNIQUE (workspace_id, kind), 
	CONSTRAINT fk_row_count_workspace_id FOREIGN KEY(workspace_id) REFERENCES workspace (id) ON DELETE CASCADE
);
CREATE TABLE run (
	workspace_id INTEGER NOT NULL, 
	report_id INTEGER NOT NULL, 
	status VARCHAR(16) NOT NULL, 
	origin VARCHAR(16) NOT NULL, 
	given_parameters JSON NOT NULL, 
	parameters JSON NOT NULL, 
	idempotency_key VARCHAR(255), 
	worker_id VARCHAR(64), 
	report_updated_on DATETIME, 
	lost_workers INTEGER NOT NULL, 
	flow_run_id VARCHAR(36), 
	parent_id INTEGER, 
	re_run_count INTEGER NOT NULL, 
	webhook_id INTEGER, 
	traceparent VARCHAR(55), 
	started_by TEXT, 
	schedule_id INTEGER, 
	options JSON, 
	started_on DATETIME, 
	finished_on DATETIME, 
	error TEXT, 
	uid VARCHAR(32) NOT NULL, 
	created_on DATETIME NOT NULL, 
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT uq_run_report_id_idempotency_key UNIQUE (report_id, idempotency_key), 
	CONSTRAINT uq_run_uid UNIQUE (uid), 
	CONSTRAINT fk_run_workspace_id FOREIGN KEY(workspace_id) REFERENCES workspace (id), 
	CONSTRAINT fk_run_report_id FOREIGN KEY(report_id) REFERENCES report (id) ON DELETE CASCADE
);
INSERT INTO "run" VALUES(1,1,'success','webhook','{"month": 2}','{"month": 2, "text": "{}"}',NULL,'tUpNgzbZGLT3','2026-11-28 08:07:42.897283',0,'d8d55026-8deb-48ee-9245-71e8db6cc35f',NULL,0,1,NULL,NULL,NULL,NULL,'2026-11-28 08:07:44.906330','2026-11-28 08:07:50.099587',NULL,'wHbasGm0WB3p','2026-11-28 08:07:44.279975',1);
INSERT INTO "run" VALUES(1,1,'failed','webhook','{"text": "{"}','{"month": 1, "text": "{"}',NULL,'tUpNgzbZGLT3','2026-11-28 08:07:42.897283',0,'6b01401c-b69b-48ad-94f1-d2bfa1777cd8',NULL,0,1,NULL,NULL,NULL,NULL,'2026-11-28 08:07:50.591931','2026-11-28 08:07:50.860901','block ''q'': malformed JSON','hQiRApkiDctp','2026-11-28 08:07:50.529564',2);
INSERT INTO "run" VALUES(1,1,'pending','webhook','{"month": 2}','{"month": 2, "text": "{}"}','b27f962ebe4c82286ed10ee20c1d734697928d1565156db3',NULL,NULL,0,'0816ce98-5bcc-4f59-96f1-aa8ac8587806',NULL,0,1,NULL,'Airflow user_dag.run_report (run manual__2026-01-01, try 1)',NULL,NULL,NULL,NULL,NULL,'ldqponA6wMIs','2026-11-28 08:08:01.016124',3);
CREATE TABLE run_log (
	workspace_id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	flow_run_id VARCHAR(36), 
	task_run_id VARCHAR(36), 
	level VARCHAR(16) NOT NULL, 
	message TEXT NOT NULL, 
	uid VARCHAR(32) NOT NULL, 
	created_on DATETIME NOT NULL, 
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT uq_run_log_uid UNIQUE (uid), 
	CONSTRAINT fk_run_log_workspace_id FOREIGN KEY(workspace_id) REFERENCES workspace (id), 
	CONSTRAINT fk_run_log_run_id FOREIGN KEY(run_id) REFERENCES run (id) ON DELETE CASCADE
);
INSERT INTO "run_log" VALUES(1,1,'d8d55026-8deb-48ee-9245-71e8db6cc35f',NULL,'INFO','the run begins','BDMgF0LPU56g','2026-11-28 08:07:44.955515',1);
INSERT INTO "run_log" VALUES(1,1,'d8d55026-8deb-48ee-9245-71e8db6cc35f','VfBLszOhyVEv','INFO','block ''month'': success','xMEeASO55byl','2026-11-28 08:07:44.987393',2);
INSERT INTO "run_log" VALUES(1,1,'d8d55026-8deb-48ee-9245-71e8db6cc35f','SN2ypATlTWZk','INFO','block ''text'': success','qCviXFCeuxJQ','2026-11-28 08:07:45.040407',3);
INSERT INTO "run_log" VALUES(1,1,'d8d55026-8deb-48ee-9245-71e8db6cc35f','NQmF1en1qEDi','INFO','block ''q'': success, 1 rows','vOQBSwncUzsV','2026-11-28 08:07:50.104524',4);
INSERT INTO "run_log" VALUES(1,1,'d8d55026-8deb-48ee-9245-71e8db6cc35f',NULL,'INFO','the run ends: success','kIDP3p3mxDjm','2026-11-28 08:07:50.104531',5);
INSERT INTO "run_log" VALUES(1,2,'6b01401c-b69b-48ad-94f1-d2bfa1777cd8',NULL,'INFO','the run begins','ybKSmujWvzy2','2026-11-28 08:07:50.624800',6);
INSERT INTO "run_log" VALUES(1,2,'6b01401c-b69b-48ad-94f1-d2bfa1777cd8','VfBLszOhyVEv','INFO','block ''month'': success','DhWUuBSwL6Cx','2026-11-28 08:07:50.641663',7);
INSERT INTO "run_log" VALUES(1,2,'6b01401c-b69b-48ad-94f1-d2bfa1777cd8','SN2ypATlTWZk','INFO','block ''text'': success','woW7Rcf3lHG1','2026-11-28 08:07:50.657740',8);
INSERT INTO "run_log" VALUES(1,2,'6b01401c-b69b-48ad-94f1-d2bfa1777cd8','NQmF1en1qEDi','ERROR','block ''q'': failed, malformed JSON','pasGdPVt3nGq','2026-11-28 08:07:50.915313',9);
INSERT INTO "run_log" VALUES(1,2,'6b01401c-b69b-48ad-94f1-d2bfa1777cd8',NULL,'INFO','the run ends: failed','fe1Q2aseETLd','2026-11-28 08:07:50.915324',10);
CREATE TABLE schedule (
	workspace_id INTEGER NOT NULL, 
	report_id INTEGER NOT NULL, 
	query_id INTEGER, 
	name VARCHAR(255) NOT NULL, 
	active BOOLEAN NOT NULL, 
	first_start DATETIME NOT NULL, 
	time_zone VARCHAR(64) NOT NULL, 
	recurrence VARCHAR(16) NOT NULL, 
	cron VARCHAR(255), 
	ends_on DATE, 
	max_runs INTEGER, 
	run_count INTEGER NOT NULL, 
	next_run_on DATETIME, 
	success_recipients JSON NOT NULL, 
	failure_recipients JSON NOT NULL, 
	uid VARCHAR(32) NOT NULL, 
	created_on DATETIME NOT NULL, 
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT uq_schedule_uid UNIQUE (uid), 
	CONSTRAINT fk_schedule_workspace_id FOREIGN KEY(workspace_id) REFERENCES workspace (id), 
	CONSTRAINT fk_schedule_report_id FOREIGN KEY(report_id) REFERENCES report (id) ON DELETE CASCADE, 
	CONSTRAINT fk_schedule_query_id FOREIGN KEY(query_id) REFERENCES "query" (id) ON DELETE CASCADE
);
CREATE TABLE webhook (
	report_id INTEGER NOT NULL, 
	active BOOLEAN NOT NULL, 
	token_hash VARCHAR(64) NOT NULL, 
	token_encrypted TEXT NOT NULL, 
	details TEXT, 
	recipients TEXT, 
	slack_recipients TEXT, 
	updated_on DATETIME NOT NULL, 
	uid VARCHAR(32) NOT NULL, 
	created_on DATETIME NOT NULL, 
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT uq_webhook_uid UNIQUE (uid), 
	CONSTRAINT fk_webhook_report_id FOREIGN KEY(report_id) REFERENCES report (id) ON DELETE CASCADE
);
INSERT INTO "webhook" VALUES(1,1,'80d554de84c23f9657a7104a6bd8f166b9d187bf82e53c21776fe064d61fd261','gAAAAABrCovPTXNAmQm4X6d59Y8uF0a3p9hppnFsxG_XP-uPA1tQLBnLmgIauaiQcKmWn35w4Eiz4xpYrHPhal7Ekj1JnNIIUSO2KNR9ry0E8xzS8hoFWgAWoxhAwoomn-IZ2tU79Kbg',NULL,NULL,NULL,'2026-11-28 08:07:43.012055','qvnWT9rF47rO','2026-11-28 08:07:43.035948',1);
CREATE TABLE webhook_subscription (
	workspace_id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	url TEXT NOT NULL, 
	events JSON NOT NULL, 
	active BOOLEAN NOT NULL, 
	secret_encrypted TEXT NOT NULL, 
	headers_encrypted TEXT, 
	updated_on DATETIME NOT NULL, 
	owner_id INTEGER, 
	failing_since DATETIME, 
	disabled_on DATETIME, 
	disabled_reason TEXT, 
	uid VARCHAR(32) NOT NULL, 
	created_on DATETIME NOT NULL, 
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT uq_webhook_subscription_uid UNIQUE (uid), 
	CONSTRAINT fk_webhook_subscription_workspace_id FOREIGN KEY(workspace_id) REFERENCES workspace (id)
);
INSERT INTO "webhook_subscription" VALUES(1,'receiver','http://127.0.0.1:36923/webhooks/demo?token=sender-token-0123456789','["report.run"]',1,'gAAAAABrCovPEGrOyn7A_ojwXzhywlGSX6UjyBFGEqCPB9xSUOmlaq0eL9NCMhvozIG3hTdvfMAPOAMSv37eZq8hTYyc24gmOWxwI0th42qOz1dGaazDPrVM7L43XFeNLcjThcMyaulhUZVlWaX_exqzLIuXb7qvTQ==',NULL,'2026-11-28 08:07:43.924369',1,NULL,NULL,NULL,'e3oR2e4dqbpT','2026-11-28 08:07:43.928306',1);
CREATE TABLE work_signal (
	name VARCHAR(16) NOT NULL, 
	version INTEGER NOT NULL, 
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT uq_work_signal_name UNIQUE (name)
);
INSERT INTO "work_signal" VALUES('run',3,1);
INSERT INTO "work_signal" VALUES('delivery',2,2);
INSERT INTO "work_signal" VALUES('message',0,3);
INSERT INTO "work_signal" VALUES('schedule',0,4);
CREATE TABLE worker (
	worker_id VARCHAR(64) NOT NULL, 
	host VARCHAR(255) NOT NULL, 
	pid INTEGER NOT NULL, 
	started_on DATETIME NOT NULL, 
	beat_on DATETIME NOT NULL, 
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT uq_worker_worker_id UNIQUE (worker_id)
);
CREATE TABLE workspace (
	name VARCHAR(255) NOT NULL, 
	uid VARCHAR(32) NOT NULL, 
	created_on DATETIME NOT NULL, 
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT uq_workspace_uid UNIQUE (uid)
);
INSERT INTO "workspace" VALUES('Main Workspace','EDi5OxfhBbKx','2026-11-28 08:07:41.449610',1);
CREATE INDEX ix_ended_session_until ON ended_session (until);
CREATE INDEX ix_api_token_workspace_id ON api_token (workspace_id);
CREATE INDEX ix_membership_workspace_id ON membership (workspace_id);
CREATE INDEX ix_worker_beat_on ON worker (beat_on);
CREATE INDEX ix_report_workspace_id ON report (workspace_id);
CREATE INDEX ix_query_report_id ON "query" (report_id);
CREATE INDEX ix_webhook_report_id ON webhook (report_id);
CREATE INDEX ix_schedule_next_run_on ON schedule (next_run_on);
CREATE INDEX ix_schedule_query_id ON schedule (query_id);
CREATE INDEX ix_schedule_report_id ON schedule (report_id);
CREATE INDEX ix_schedule_workspace_id ON schedule (workspace_id);
CREATE INDEX ix_run_flow_run_id ON run (flow_run_id);
CREATE INDEX ix_run_age ON run (workspace_id, created_on);
CREATE INDEX ix_run_list ON run (workspace_id, id);
CREATE INDEX ix_run_report_id_list ON run (workspace_id, report_id, id);
CREATE INDEX ix_run_status_list ON run (workspace_id, status, id);
CREATE INDEX ix_run_waiting ON run (workspace_id, report_id, created_on, lost_workers) WHERE worker_id IS NULL AND finished_on IS NULL;
CREATE INDEX ix_run_claimed ON run (worker_id) WHERE worker_id IS NOT NULL AND finished_on IS NULL;
CREATE INDEX ix_query_run_block_id ON query_run (block_id);
CREATE INDEX ix_query_run_query_id ON query_run (query_id);
CREATE INDEX ix_query_run_report_id ON query_run (report_id);
CREATE INDEX ix_query_run_status ON query_run (status);
CREATE INDEX ix_query_run_age ON query_run (workspace_id, created_on);
CREATE INDEX ix_query_run_waiting ON query_run (workspace_id, report_id, created_on, lost_workers) WHERE worker_id IS NULL AND finished_on IS NULL;
CREATE INDEX ix_query_run_claimed ON query_run (worker_id) WHERE worker_id IS NOT NULL AND finished_on IS NULL;
CREATE INDEX ix_block_result_block ON block_result (block_id, id);
CREATE INDEX ix_block_result_output ON block_result (finished_on, id) WHERE (type = 'text' OR type = 'chart') AND output IS NOT NULL;
CREATE INDEX ix_deleted_folder_due_on ON deleted_folder (due_on);
CREATE INDEX ix_run_log_flow_run_id ON run_log (flow_run_id);
CREATE INDEX ix_run_log_run_id ON run_log (run_id);
CREATE INDEX ix_run_log_list ON run_log (workspace_id, id);
CREATE INDEX ix_run_log_age ON run_log (workspace_id, created_on);
CREATE INDEX ix_outbox_event_age ON outbox_event (workspace_id, created_on);
CREATE INDEX ix_outbox_event_run_id ON outbox_event (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX ix_webhook_subscription_workspace_id ON webhook_subscription (workspace_id);
CREATE INDEX ix_retired_secret_subscription_id ON retired_secret (subscription_id);
CREATE INDEX ix_delivery_outcomes ON delivery (subscription_id, status, created_on, attempt_count, schedule_start);
CREATE INDEX ix_delivery_age ON delivery (workspace_id, created_on);
CREATE INDEX ix_delivery_list ON delivery (workspace_id, id);
CREATE INDEX ix_delivery_status_list ON delivery (workspace_id, status, id);
CREATE INDEX ix_delivery_event_list ON delivery (workspace_id, event, id);
CREATE INDEX ix_delivery_subscription_id_list ON delivery (workspace_id, subscription_id, id);
CREATE INDEX ix_delivery_waiting ON delivery (subscription_id, next_attempt_on, attempt_count, schedule_start) WHERE worker_id IS NULL AND finished_on IS NULL;
CREATE INDEX ix_delivery_claimed ON delivery (worker_id) WHERE worker_id IS NOT NULL AND finished_on IS NULL;
CREATE INDEX ix_message_block_result_id ON message (block_result_id);
CREATE INDEX ix_message_list ON message (workspace_id, id);
CREATE INDEX ix_message_age ON message (workspace_id, created_on);
CREATE INDEX ix_message_waiting ON message (kind, next_attempt_on) WHERE worker_id IS NULL AND status = 'pending';
CREATE INDEX ix_message_claimed ON message (worker_id) WHERE worker_id IS NOT NULL AND status = 'pending';
CREATE INDEX ix_deleted_rows_workspace_id_kind ON deleted_rows (workspace_id, kind);
CREATE TRIGGER count_deleted_run AFTER DELETE ON run FOR EACH ROW BEGIN UPDATE row_count SET number = number - 1 WHERE workspace_id = OLD.workspace_id AND kind = 'run' AND until > OLD.id; END;
CREATE TRIGGER count_deleted_run_log AFTER DELETE ON run_log FOR EACH ROW BEGIN UPDATE row_count SET number = number - 1 WHERE workspace_id = OLD.workspace_id AND kind = 'run_log' AND until > OLD.id; END;
CREATE TRIGGER count_deleted_delivery AFTER DELETE ON delivery FOR EACH ROW BEGIN UPDATE row_count SET number = number - 1 WHERE workspace_id = OLD.workspace_id AND kind = 'delivery' AND until > OLD.id; END;
CREATE TRIGGER count_deleted_message AFTER DELETE ON message FOR EACH ROW BEGIN UPDATE row_count SET number = number - 1 WHERE workspace_id = OLD.workspace_id AND kind = 'message' AND until > OLD.id; END;
CREATE TRIGGER signal_new_run AFTER INSERT ON run FOR EACH ROW BEGIN UPDATE work_signal SET version = version + 1 WHERE name = 'run'; END;
CREATE TRIGGER signal_waiting_run AFTER UPDATE OF worker_id ON run FOR EACH ROW WHEN (NEW.worker_id IS NULL AND NEW.finished_on IS NULL) BEGIN UPDATE work_signal SET version = version + 1 WHERE name = 'run'; END;
CREATE TRIGGER signal_new_query_run AFTER INSERT ON query_run FOR EACH ROW BEGIN UPDATE work_signal SET version = version + 1 WHERE name = 'run'; END;
CREATE TRIGGER signal_waiting_query_run AFTER UPDATE OF worker_id ON query_run FOR EACH ROW WHEN (NEW.worker_id IS NULL AND NEW.finished_on IS NULL) BEGIN UPDATE work_signal SET version = version + 1 WHERE name = 'run'; END;
CREATE TRIGGER signal_new_delivery AFTER INSERT ON delivery FOR EACH ROW BEGIN UPDATE work_signal SET version = version + 1 WHERE name = 'delivery'; END;
CREATE TRIGGER signal_waiting_delivery AFTER UPDATE OF worker_id, next_attempt_on ON delivery FOR EACH ROW WHEN (NEW.worker_id IS NULL AND NEW.finished_on IS NULL) BEGIN UPDATE work_signal SET version = version + 1 WHERE name = 'delivery'; END;
CREATE TRIGGER signal_new_message AFTER INSERT ON message FOR EACH ROW BEGIN UPDATE work_signal SET version = version + 1 WHERE name = 'message'; END;
CREATE TRIGGER signal_waiting_message AFTER UPDATE OF worker_id, next_attempt_on ON message FOR EACH ROW WHEN (NEW.worker_id IS NULL AND NEW.status = 'pending') BEGIN UPDATE work_signal SET version = version + 1 WHERE name = 'message'; END;
CREATE TRIGGER signal_active_webhook_subscription AFTER UPDATE OF active ON webhook_subscription FOR EACH ROW BEGIN UPDATE work_signal SET version = version + 1 WHERE name = 'delivery'; END;
CREATE TRIGGER signal_added_schedule AFTER INSERT ON schedule FOR EACH ROW BEGIN UPDATE work_signal SET version = version + 1 WHERE name = 'schedule'; END;
CREATE TRIGGER signal_changed_schedule AFTER UPDATE OF next_run_on, active ON schedule FOR EACH ROW BEGIN UPDATE work_signal SET version = version + 1 WHERE name = 'schedule'; END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('work_signal',4);
INSERT INTO "sqlite_sequence" VALUES('installation',1);
INSERT INTO "sqlite_sequence" VALUES('app_user',1);
INSERT INTO "sqlite_sequence" VALUES('workspace',1);
INSERT INTO "sqlite_sequence" VALUES('api_token',2);
INSERT INTO "sqlite_sequence" VALUES('membership',1);
INSERT INTO "sqlite_sequence" VALUES('worker',1);
INSERT INTO "sqlite_sequence" VALUES('data_source',1);
INSERT INTO "sqlite_sequence" VALUES('report',1);
INSERT INTO "sqlite_sequence" VALUES('block',3);
INSERT INTO "sqlite_sequence" VALUES('query',1);
INSERT INTO "sqlite_sequence" VALUES('webhook',1);
INSERT INTO "sqlite_sequence" VALUES('webhook_subscription',1);
INSERT INTO "sqlite_sequence" VALUES('run',3);
INSERT INTO "sqlite_sequence" VALUES('run_log',10);
INSERT INTO "sqlite_sequence" VALUES('block_result',6);
INSERT INTO "sqlite_sequence" VALUES('outbox_event',2);
INSERT INTO "sqlite_sequence" VALUES('delivery',2);
INSERT INTO "sqlite_sequence" VALUES('delivery_attempt',2);
COMMIT;
