SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE FUNCTION public.pushmetrics_count_deleted() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN
INSERT INTO deleted_rows (workspace_id, kind, id_range, number)
SELECT workspace_id, TG_TABLE_NAME, id / 1024, count(*) FROM gone
GROUP BY workspace_id, id / 1024;
RETURN NULL; END $$;
CREATE FUNCTION public.pushmetrics_notify() RETURNS trigger
    LANGUAGE plpgsql
    AS $$ BEGIN PERFORM pg_notify('pushmetrics_work', TG_ARGV[0]); RETURN NULL; END $$;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.api_token (
    user_id integer NOT NULL,
    workspace_id integer NOT NULL,
    name character varying(255) NOT NULL,
    token_hash character varying(64) NOT NULL,
    token_prefix character varying(16),
    expires_on timestamp with time zone,
    revoked_on timestamp with time zone,
    uid character varying(32) NOT NULL,
    created_on timestamp with time zone NOT NULL,
    id integer NOT NULL
);
CREATE SEQUENCE public.api_token_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.api_token_id_seq OWNED BY public.api_token.id;
CREATE TABLE public.app_user (
    email character varying(320) NOT NULL,
    first_name character varying(255) NOT NULL,
    last_name character varying(255) NOT NULL,
    last_login timestamp with time zone,
    uid character varying(32) NOT NULL,
    created_on timestamp with time zone NOT NULL,
    id integer NOT NULL
);
CREATE SEQUENCE public.app_user_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.app_user_id_seq OWNED BY public.app_user.id;
CREATE TABLE public.block (
    report_id integer NOT NULL,
    "position" integer NOT NULL,
    type character varying(32) NOT NULL,
    name character varying(255) NOT NULL,
    verbose_name character varying(255),
    content json NOT NULL,
    uid character varying(32) NOT NULL,
    created_on timestamp with time zone NOT NULL,
    id integer NOT NULL
);
CREATE SEQUENCE public.block_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.block_id_seq OWNED BY public.block.id;
CREATE TABLE public.block_result (
    run_id integer,
    query_run_id integer,
    block_id integer NOT NULL,
    block_uid character varying(32) NOT NULL,
    query_id integer,
    "position" integer NOT NULL,
    name character varying(255) NOT NULL,
    type character varying(32) NOT NULL,
    status character varying(16) NOT NULL,
    error text,
    output text,
    output_html text,
    content_hash character varying(64),
    row_count integer,
    result_file character varying(255),
    max_rows integer,
    timeout_seconds integer,
    is_truncated boolean NOT NULL,
    started_on timestamp with time zone,
    finished_on timestamp with time zone,
    id integer NOT NULL
);
CREATE SEQUENCE public.block_result_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.block_result_id_seq OWNED BY public.block_result.id;
CREATE TABLE public.data_source (
    workspace_id integer NOT NULL,
    name character varying(255) NOT NULL,
    kind character varying(32) NOT NULL,
    location_encrypted text NOT NULL,
    uid character varying(32) NOT NULL,
    created_on timestamp with time zone NOT NULL,
    id integer NOT NULL
);
CREATE SEQUENCE public.data_source_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.data_source_id_seq OWNED BY public.data_source.id;
CREATE TABLE public.deleted_folder (
    kind character varying(16) NOT NULL,
    run_id integer NOT NULL,
    due_on timestamp with time zone NOT NULL,
    id integer NOT NULL
);
CREATE SEQUENCE public.deleted_folder_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.deleted_folder_id_seq OWNED BY public.deleted_folder.id;
CREATE TABLE public.deleted_rows (
    workspace_id integer NOT NULL,
    kind character varying(32) NOT NULL,
    id_range integer NOT NULL,
    number integer NOT NULL,
    id integer NOT NULL
);
CREATE SEQUENCE public.deleted_rows_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.deleted_rows_id_seq OWNED BY public.deleted_rows.id;
CREATE TABLE public.delivery (
    workspace_id integer NOT NULL,
    event_id integer NOT NULL,
    subscription_id integer NOT NULL,
    event character varying(64) NOT NULL,
    status character varying(16) NOT NULL,
    attempt_count integer NOT NULL,
    schedule_start integer DEFAULT 0 NOT NULL,
    worker_id character varying(64),
    next_attempt_on timestamp with time zone NOT NULL,
    finished_on timestamp with time zone,
    uid character varying(32) NOT NULL,
    created_on timestamp with time zone NOT NULL,
    id integer NOT NULL
);
CREATE TABLE public.delivery_attempt (
    delivery_id integer NOT NULL,
    number integer NOT NULL,
    started_on timestamp with time zone NOT NULL,
    duration_ms integer NOT NULL,
    status_code integer,
    error text,
    answer text,
    id integer NOT NULL
);
CREATE SEQUENCE public.delivery_attempt_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.delivery_attempt_id_seq OWNED BY public.delivery_attempt.id;
CREATE SEQUENCE public.delivery_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.delivery_id_seq OWNED BY public.delivery.id;
CREATE TABLE public.ended_session (
    sid character varying(32) NOT NULL,
    until timestamp with time zone NOT NULL,
    id integer NOT NULL
);
CREATE SEQUENCE public.ended_session_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.ended_session_id_seq OWNED BY public.ended_session.id;
CREATE TABLE public.installation (
    uid character varying(32) NOT NULL,
    id integer NOT NULL
);
CREATE SEQUENCE public.installation_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.installation_id_seq OWNED BY public.installation.id;
CREATE TABLE public.membership (
    user_id integer NOT NULL,
    workspace_id integer NOT NULL,
    role character varying(32) NOT NULL,
    id integer NOT NULL
);
CREATE SEQUENCE public.membership_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.membership_id_seq OWNED BY public.membership.id;
CREATE TABLE public.message (
    workspace_id integer NOT NULL,
    block_result_id integer,
    kind character varying(16) NOT NULL,
    recipient character varying(255) NOT NULL,
    recipient_name character varying(255),
    subject character varying(255) NOT NULL,
    text text NOT NULL,
    formatted text,
    files json NOT NULL,
    status character varying(16) NOT NULL,
    attempt_count integer NOT NULL,
    worker_id character varying(64),
    next_attempt_on timestamp with time zone NOT NULL,
    finished_on timestamp with time zone,
    error text,
    uid character varying(32) NOT NULL,
    created_on timestamp with time zone NOT NULL,
    id integer NOT NULL
);
CREATE SEQUENCE public.message_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.message_id_seq OWNED BY public.message.id;
CREATE TABLE public.outbox_event (
    workspace_id integer NOT NULL,
    event character varying(64) NOT NULL,
    run_id integer,
    body text NOT NULL,
    traceparent character varying(55),
    uid character varying(32) NOT NULL,
    created_on timestamp with time zone NOT NULL,
    id integer NOT NULL
);
CREATE SEQUENCE public.outbox_event_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.outbox_event_id_seq OWNED BY public.outbox_event.id;
CREATE TABLE public.pushmetrics_service_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE public.query (
    report_id integer NOT NULL,
    block_id integer NOT NULL,
    uid character varying(32) NOT NULL,
    created_on timestamp with time zone NOT NULL,
    id integer NOT NULL
);
CREATE SEQUENCE public.query_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.query_id_seq OWNED BY public.query.id;
CREATE TABLE public.query_run (
    workspace_id integer NOT NULL,
    report_id integer NOT NULL,
    block_id integer,
    query_id integer,
    status character varying(16) NOT NULL,
    origin character varying(16) NOT NULL,
    content json,
    unsaved_block json,
    texts json,
    schedule_id integer,
    given_parameters json NOT NULL,
    parameters json NOT NULL,
    worker_id character varying(64),
    report_updated_on timestamp with time zone,
    lost_workers integer NOT NULL,
    started_on timestamp with time zone,
    finished_on timestamp with time zone,
    error text,
    uid character varying(32) NOT NULL,
    created_on timestamp with time zone NOT NULL,
    id integer NOT NULL
);
CREATE SEQUENCE public.query_run_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.query_run_id_seq OWNED BY public.query_run.id;
CREATE TABLE public.report (
    workspace_id integer NOT NULL,
    name character varying(255) NOT NULL,
    description text NOT NULL,
    type character varying(32) NOT NULL,
    folder character varying(255),
    time_zone character varying(64) NOT NULL,
    owner_id integer,
    updated_on timestamp with time zone NOT NULL,
    uid character varying(32) NOT NULL,
    created_on timestamp with time zone NOT NULL,
    id integer NOT NULL
);
CREATE SEQUENCE public.report_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.report_id_seq OWNED BY public.report.id;
CREATE TABLE public.retired_secret (
    subscription_id integer NOT NULL,
    secret_encrypted text NOT NULL,
    expires_on timestamp with time zone NOT NULL,
    id integer NOT NULL
);
CREATE SEQUENCE public.retired_secret_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.retired_secret_id_seq OWNED BY public.retired_secret.id;
CREATE TABLE public.row_count (
    workspace_id integer NOT NULL,
    kind character varying(32) NOT NULL,
    until integer NOT NULL,
    number integer NOT NULL,
    id integer NOT NULL
);
CREATE SEQUENCE public.row_count_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.row_count_id_seq OWNED BY public.row_count.id;
CREATE TABLE public.run (
    workspace_id integer NOT NULL,
    report_id integer NOT NULL,
    status character varying(16) NOT NULL,
    origin character varying(16) NOT NULL,
    given_parameters json NOT NULL,
    parameters json NOT NULL,
    idempotency_key character varying(255),
    worker_id character varying(64),
    report_updated_on timestamp with time zone,
    lost_workers integer NOT NULL,
    flow_run_id character varying(36),
    parent_id integer,
    re_run_count integer NOT NULL,
    webhook_id integer,
    traceparent character varying(55),
    started_by text,
    schedule_id integer,
    options json,
    started_on timestamp with time zone,
    finished_on timestamp with time zone,
    error text,
    uid character varying(32) NOT NULL,
    created_on timestamp with time zone NOT NULL,
    id integer NOT NULL
);
CREATE SEQUENCE public.run_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.run_id_seq OWNED BY public.run.id;
CREATE TABLE public.run_log (
    workspace_id integer NOT NULL,
    run_id integer NOT NULL,
    flow_run_id character varying(36),
    task_run_id character varying(36),
    level character varying(16) NOT NULL,
    message text NOT NULL,
    uid character varying(32) NOT NULL,
    created_on timestamp with time zone NOT NULL,
    id integer NOT NULL
);
CREATE SEQUENCE public.run_log_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.run_log_id_seq OWNED BY public.run_log.id;
CREATE TABLE public.schedule (
    workspace_id integer NOT NULL,
    report_id integer NOT NULL,
    query_id integer,
    name character varying(255) NOT NULL,
    active boolean NOT NULL,
    first_start timestamp with time zone NOT NULL,
    time_zone character varying(64) NOT NULL,
    recurrence character varying(16) NOT NULL,
    cron character varying(255),
    ends_on date,
    max_runs integer,
    run_count integer NOT NULL,
    next_run_on timestamp with time zone,
    success_recipients json NOT NULL,
    failure_recipients json NOT NULL,
    uid character varying(32) NOT NULL,
    created_on timestamp with time zone NOT NULL,
    id integer NOT NULL
);
CREATE SEQUENCE public.schedule_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.schedule_id_seq OWNED BY public.schedule.id;
CREATE TABLE public.webhook (
    report_id integer NOT NULL,
    active boolean NOT NULL,
    token_hash character varying(64) NOT NULL,
    token_encrypted text NOT NULL,
    details text,
    recipients text,
    slack_recipients text,
    updated_on timestamp with time zone NOT NULL,
    uid character varying(32) NOT NULL,
    created_on timestamp with time zone NOT NULL,
    id integer NOT NULL
);
CREATE SEQUENCE public.webhook_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.webhook_id_seq OWNED BY public.webhook.id;
CREATE TABLE public.webhook_subscription (
    workspace_id integer NOT NULL,
    name character varying(255) NOT NULL,
    url text NOT NULL,
    events json NOT NULL,
    active boolean NOT NULL,
    secret_encrypted text NOT NULL,
    headers_encrypted text,
    updated_on timestamp with time zone NOT NULL,
    owner_id integer,
    failing_since timestamp with time zone,
    disabled_on timestamp with time zone,
    disabled_reason text,
    uid character varying(32) NOT NULL,
    created_on timestamp with time zone NOT NULL,
    id integer NOT NULL
);
CREATE SEQUENCE public.webhook_subscription_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.webhook_subscription_id_seq OWNED BY public.webhook_subscription.id;
CREATE TABLE public.work_signal (
    name character varying(16) NOT NULL,
    version integer NOT NULL,
    id integer NOT NULL
);
CREATE SEQUENCE public.work_signal_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.work_signal_id_seq OWNED BY public.work_signal.id;
CREATE TABLE public.worker (
    worker_id character varying(64) NOT NULL,
    host character varying(255) NOT NULL,
    pid integer NOT NULL,
    started_on timestamp with time zone NOT NULL,
    beat_on timestamp with time zone NOT NULL,
    id integer NOT NULL
);
CREATE SEQUENCE public.worker_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.worker_id_seq OWNED BY public.worker.id;
CREATE TABLE public.workspace (
    name character varying(255) NOT NULL,
    uid character varying(32) NOT NULL,
    created_on timestamp with time zone NOT NULL,
    id integer NOT NULL
);
CREATE SEQUENCE public.workspace_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.workspace_id_seq OWNED BY public.workspace.id;
ALTER TABLE ONLY public.api_token ALTER COLUMN id SET DEFAULT nextval('public.api_token_id_seq'::regclass);
ALTER TABLE ONLY public.app_user ALTER COLUMN id SET DEFAULT nextval('public.app_user_id_seq'::regclass);
ALTER TABLE ONLY public.block ALTER COLUMN id SET DEFAULT nextval('public.block_id_seq'::regclass);
ALTER TABLE ONLY public.block_result ALTER COLUMN id SET DEFAULT nextval('public.block_result_id_seq'::regclass);
ALTER TABLE ONLY public.data_source ALTER COLUMN id SET DEFAULT nextval('public.data_source_id_seq'::regclass);
ALTER TABLE ONLY public.deleted_folder ALTER COLUMN id SET DEFAULT nextval('public.deleted_folder_id_seq'::regclass);
ALTER TABLE ONLY public.deleted_rows ALTER COLUMN id SET DEFAULT nextval('public.deleted_rows_id_seq'::regclass);
ALTER TABLE ONLY public.delivery ALTER COLUMN id SET DEFAULT nextval('public.delivery_id_seq'::regclass);
ALTER TABLE ONLY public.delivery_attempt ALTER COLUMN id SET DEFAULT nextval('public.delivery_attempt_id_seq'::regclass);
ALTER TABLE ONLY public.ended_session ALTER COLUMN id SET DEFAULT nextval('public.ended_session_id_seq'::regclass);
ALTER TABLE ONLY public.installation ALTER COLUMN id SET DEFAULT nextval('public.installation_id_seq'::regclass);
ALTER TABLE ONLY public.membership ALTER COLUMN id SET DEFAULT nextval('public.membership_id_seq'::regclass);
ALTER TABLE ONLY public.message ALTER COLUMN id SET DEFAULT nextval('public.message_id_seq'::regclass);
ALTER TABLE ONLY public.outbox_event ALTER COLUMN id SET DEFAULT nextval('public.outbox_event_id_seq'::regclass);
ALTER TABLE ONLY public.query ALTER COLUMN id SET DEFAULT nextval('public.query_id_seq'::regclass);
ALTER TABLE ONLY public.query_run ALTER COLUMN id SET DEFAULT nextval('public.query_run_id_seq'::regclass);
ALTER TABLE ONLY public.report ALTER COLUMN id SET DEFAULT nextval('public.report_id_seq'::regclass);
ALTER TABLE ONLY public.retired_secret ALTER COLUMN id SET DEFAULT nextval('public.retired_secret_id_seq'::regclass);
ALTER TABLE ONLY public.row_count ALTER COLUMN id SET DEFAULT nextval('public.row_count_id_seq'::regclass);
ALTER TABLE ONLY public.run ALTER COLUMN id SET DEFAULT nextval('public.run_id_seq'::regclass);
ALTER TABLE ONLY public.run_log ALTER COLUMN id SET DEFAULT nextval('public.run_log_id_seq'::regclass);
ALTER TABLE ONLY public.schedule ALTER COLUMN id SET DEFAULT nextval('public.schedule_id_seq'::regclass);
ALTER TABLE ONLY public.webhook ALTER COLUMN id SET DEFAULT nextval('public.webhook_id_seq'::regclass);
ALTER TABLE ONLY public.webhook_subscription ALTER COLUMN id SET DEFAULT nextval('public.webhook_subscription_id_seq'::regclass);
ALTER TABLE ONLY public.work_signal ALTER COLUMN id SET DEFAULT nextval('public.work_signal_id_seq'::regclass);
ALTER TABLE ONLY public.worker ALTER COLUMN id SET DEFAULT nextval('public.worker_id_seq'::regclass);
ALTER TABLE ONLY public.workspace ALTER COLUMN id SET DEFAULT nextval('public.workspace_id_seq'::regclass);
INSERT INTO public.api_token VALUES (1, 1, 'bootstrap', '9c988efde756caa073cc389710a2fc30cf509de5d7973bb13118b9bc5c942058', NULL, NULL, NULL, 'G3I7CZ6RdeD9', '2026-11-28 08:08:36.46527+00', 1);
INSERT INTO public.api_token VALUES (1, 1, 'of a user', '72a7cf770a0b2bcdf3e7ce9bf58455af8820d37edf37530d30c2b97b3c8dac25', 'pmpat_2jEpz3', NULL, NULL, 'XXJ3b5G4ZZQC', '2026-11-28 08:08:38.981537+00', 2);
INSERT INTO public.app_user VALUES ('admin@localhost', 'Admin', '', '2026-11-28 08:08:47.743478+00', 'McTJrUGSopRq', '2026-11-28 08:08:36.244001+00', 1);
INSERT INTO public.block VALUES (1, 0, 'parameter', 'month', NULL, '{"default": 1, "type": "integer", "required": false}', 'YzLkOATmPgF4', '2026-11-28 08:08:38.291658+00', 1);
INSERT INTO public.block VALUES (1, 1, 'parameter', 'text', NULL, '{"default": "{}", "type": "text", "required": false}', 'aYWkIwO58udU', '2026-11-28 08:08:38.349637+00', 2);
INSERT INTO public.block VALUES (1, 2, 'sql', 'q', NULL, '{"database_id": 1, "sql": "SELECT {{ month }} AS month, json({{ text }}) AS checked"}', 'X7HobLlnwZhk', '2026-11-28 08:08:38.403853+00', 3);
INSERT INTO public.block_result VALUES (1, NULL, 1, 'YzLkOATmPgF4', NULL, 0, 'month', 'parameter', 'success', NULL, NULL, NULL, '14382b02674afbfda1caba22c05bbecd1fb4adaa088e178d08e2c88b85d22c11', NULL, NULL, NULL, NULL, false, '2026-11-28 08:08:40.786416+00', '2026-11-28 08:08:40.889128+00', 1);
INSERT INTO public.block_result VALUES (1, NULL, 2, 'aYWkIwO58udU', NULL, 1, 'text', 'parameter', 'success', NULL, NULL, NULL, '75fef1ba63f7ccd373a210b529f9b1487809b37cf581139689f15217a636d833', NULL, NULL, NULL, NULL, false, '2026-11-28 08:08:40.822601+00', '2026-11-28 08:08:40.92562+00', 2);
INSERT INTO public.block_result VALUES (1, NULL, 3, 'X7HobLlnwZhk', 1, 2, 'q', 'sql', 'success', NULL, NULL, NULL, '14cb15ada36c23a8e8194aabfac4a72030d43f320a9bdc00594a02f5bfd8c0a9', 1, 'run-1/X7HobLlnwZhk-XxbhRmqX5bFG.parquet', 10000000, 3600, false, '2026-11-28 08:08:40.96993+00', '2026-11-28 08:08:41.272735+00', 3);
INSERT INTO public.block_result VALUES (2, NULL, 1, 'YzLkOATmPgF4', NULL, 0, 'month', 'parameter', 'success', NULL, NULL, NULL, '14382b02674afbfda1caba22c05bbecd1fb4adaa088e178d08e2c88b85d22c11', NULL, NULL, NULL, NULL, false, '2026-11-28 08:08:42.22148+00', '2026-11-28 08:08:42.493438+00', 4);
INSERT INTO public.block_result VALUES (2, NULL, 2, 'aYWkIwO58udU', NULL, 1, 'text', 'parameter', 'success', NULL, NULL, NULL, '75fef1ba63f7ccd373a210b529f9b1487809b37cf581139689f15217a636d833', NULL, NULL, NULL, NULL, false, '2026-11-28 08:08:42.493798+00', '2026-11-28 08:08:42.5921+00', 5);
INSERT INTO public.block_result VALUES (2, NULL, 3, 'X7HobLlnwZhk', 1, 2, 'q', 'sql', 'failed', 'malformed JSON', NULL, NULL, '14cb15ada36c23a8e8194aabfac4a72030d43f320a9bdc00594a02f5bfd8c0a9', NULL, NULL, 10000000, 3600, false, '2026-11-28 08:08:42.648751+00', '2026-11-28 08:08:42.769258+00', 6);
INSERT INTO public.data_source VALUES (1, 'empty FbSA0IFsWXje', 'sqlite', 'gAAAAABrCowGGoqAGJteVL90d6IaBTS-_JpHMj3e70_qjDF7saJRtwTLUC1xUGAE7wslFZ9ORN5aj4-6zIrmYmoDz5_Qx_dCuHalL-CYP1Nu4lUcsUYlpXk=', 'jVtF7JHRJbtF', '2026-11-28 08:08:38.223152+00', 1);
INSERT INTO public.delivery VALUES (1, 1, 1, 'report.run', 'delivered', 1, 0, NULL, '2026-11-28 08:08:41.322479+00', '2026-11-28 08:08:41.635071+00', 'UyY8TMgVUAmY', '2026-11-28 08:08:41.324818+00', 1);
INSERT INTO public.delivery VALUES (1, 2, 1, 'report.run', 'delivered', 1, 0, NULL, '2026-11-28 08:08:42.833265+00', '2026-11-28 08:08:43.094874+00', 'gFzAtlsD6gcL', '2026-11-28 08:08:42.853021+00', 2);
INSERT INTO public.delivery_attempt VALUES (1, 1, '2026-11-28 08:08:41.490947+00', 137, 202, NULL, '{"id": 1, "outcome": "accepted"}', 1);
INSERT INTO public.delivery_attempt VALUES (2, 1, '2026-11-28 08:08:42.93619+00', 95, 202, NULL, '{"id": 2, "outcome": "accepted"}', 2);
INSERT INTO public.installation VALUES ('ywPSRJfKS3ri', 1);
INSERT INTO public.membership VALUES (1, 1, 'Admin', 1);
INSERT INTO public.outbox_event VALUES (1, 'report.run', 1, '{"event":"report.run","report_id":1,"report_name":"Made by a test","workspace_id":1,"workspace_name":"Main Workspace","report_notebook_outputs":"http://127.0.0.1:37681/api/reports/1/run/1","queries":[{"query_id":1,"query_name":"q","query_result":"http://127.0.0.1:37681/api/reports/1/queries/1/reportRun/1"}],"timestamp":"2026-11-28T08:08:41+00:00"}', NULL, 'msg_oWgvsNRIXq4sXDFu8Sp5r7fX', '2026-11-28 08:08:41.297551+00', 1);
INSERT INTO public.outbox_event VALUES (1, 'report.run', 2, '{"event":"report.run","report_id":1,"report_name":"Made by a test","workspace_id":1,"workspace_name":"Main Workspace","report_notebook_outputs":"http://127.0.0.1:37681/api/reports/1/run/2","queries":[{"query_id":1,"query_name":"q","query_result":"http://127.0.0.1:37681/api/reports/1/queries/1/reportRun/2"}],"timestamp":"2026-11-28T08:08:42+00:00"}', NULL, 'msg_NYJbDK4k5FjziiSGXAYxM5rz', '2026-11-28 08:08:42.816477+00', 2);
INSERT INTO public.pushmetrics_service_version VALUES ('0.1_0001');
INSERT INTO public.query VALUES (1, 3, 'Leuq5zQzAOZm', '2026-11-28 08:08:38.42062+00', 1);
INSERT INTO public.report VALUES (1, 'Made by a test', '', 'report', NULL, 'UTC', NULL, '2026-11-28 08:08:38.259387+00', 'JtAvkhOsn6wn', '2026-11-28 08:08:38.259452+00', 1);
INSERT INTO public.run VALUES (1, 1, 'success', 'webhook', '{"month": 2}', '{"month": 2, "text": "{}"}', NULL, 'KgJk3QWRavW0', '2026-11-28 08:08:38.259387+00', 0, 'edfbfcfd-010e-47c8-b8c2-e42ae4f85e16', NULL, 0, 1, NULL, NULL, NULL, NULL, '2026-11-28 08:08:40.662924+00', '2026-11-28 08:08:41.209055+00', NULL, 'CM4oDdKIDJk7', '2026-11-28 08:08:39.926665+00', 1);
INSERT INTO public.run VALUES (1, 1, 'failed', 'webhook', '{"text": "{"}', '{"month": 1, "text": "{"}', NULL, 'KgJk3QWRavW0', '2026-11-28 08:08:38.259387+00', 0, '923fa7da-3c98-43cf-90a8-30a48f70ec80', NULL, 0, 1, NULL, NULL, NULL, NULL, '2026-11-28 08:08:42.152501+00', '2026-11-28 08:08:42.712134+00', 'block ''q'': malformed JSON', 'MqBS5jJu91Wo', '2026-11-28 08:08:41.815974+00', 2);
INSERT INTO public.run VALUES (1, 1, 'pending', 'webhook', '{"month": 2}', '{"month": 2, "text": "{}"}', 'b27f962ebe4c82286ed10ee20c1d734697928d1565156db3', NULL, NULL, 0, 'f5f6e905-2db5-4450-922b-3db2fa8d9346', NULL, 0, 1, NULL, 'Airflow user_dag.run_report (run manual__2026-01-01, try 1)', NULL, NULL, NULL, NULL, NULL, 'bSQINqicnNpn', '2026-11-28 08:08:48.550354+00', 3);
INSERT INTO public.run_log VALUES (1, 1, 'edfbfcfd-010e-47c8-b8c2-e42ae4f85e16', NULL, 'INFO', 'the run begins', 'J5VKy1bhencu', '2026-11-28 08:08:40.699981+00', 1);
INSERT INTO public.run_log VALUES (1, 1, 'edfbfcfd-010e-47c8-b8c2-e42ae4f85e16', 'YzLkOATmPgF4', 'INFO', 'block ''month'': success', 'hveFLnavQesH', '2026-11-28 08:08:40.900815+00', 2);
INSERT INTO public.run_log VALUES (1, 1, 'edfbfcfd-010e-47c8-b8c2-e42ae4f85e16', 'aYWkIwO58udU', 'INFO', 'block ''text'': success', 'NUSplTaD3eGC', '2026-11-28 08:08:40.93099+00', 3);
INSERT INTO public.run_log VALUES (1, 1, 'edfbfcfd-010e-47c8-b8c2-e42ae4f85e16', 'X7HobLlnwZhk', 'INFO', 'block ''q'': success, 1 rows', 'QFcs8GMiDuFd', '2026-11-28 08:08:41.283287+00', 4);
INSERT INTO public.run_log VALUES (1, 1, 'edfbfcfd-010e-47c8-b8c2-e42ae4f85e16', NULL, 'INFO', 'the run ends: success', 'PlL0yjA1BYpn', '2026-11-28 08:08:41.283294+00', 5);
INSERT INTO public.run_log VALUES (1, 2, '923fa7da-3c98-43cf-90a8-30a48f70ec80', NULL, 'INFO', 'the run begins', 'XdJqbuBl5FAx', '2026-11-28 08:08:42.190746+00', 6);
INSERT INTO public.run_log VALUES (1, 2, '923fa7da-3c98-43cf-90a8-30a48f70ec80', 'YzLkOATmPgF4', 'INFO', 'block ''month'': success', 'jOeswcc75MaG', '2026-11-28 08:08:42.507549+00', 7);
INSERT INTO public.run_log VALUES (1, 2, '923fa7da-3c98-43cf-90a8-30a48f70ec80', 'aYWkIwO58udU', 'INFO', 'block ''text'': success', 'qFbQ2ZPlCzs5', '2026-11-28 08:08:42.603404+00', 8);
INSERT INTO public.run_log VALUES (1, 2, '923fa7da-3c98-43cf-90a8-30a48f70ec80', 'X7HobLlnwZhk', 'ERROR', 'block ''q'': failed, malformed JSON', 'Y8rJUnvVEb4h', '2026-11-28 08:08:42.788638+00', 9);
INSERT INTO public.run_log VALUES (1, 2, '923fa7da-3c98-43cf-90a8-30a48f70ec80', NULL, 'INFO', 'the run ends: failed', 'xPc5Hused5P7', '2026-11-28 08:08:42.788646+00', 10);
INSERT INTO public.webhook VALUES (1, true, '80d554de84c23f9657a7104a6bd8f166b9d187bf82e53c21776fe064d61fd261', 'gAAAAABrCowGeB46FBoow9aABwkjTIIzNcSN5i8iFbP6gVSDm8x_D65SdnjYCizhXvVyMJgDJUfDHHT7rw0gu_f79Jk-isziRPtt0aciS_YJlJQS-07VhoANfonPOIH2DEEeJmlVpv49', NULL, NULL, NULL, '2026-11-28 08:08:38.459165+00', 'XSJxI0dLzIYI', '2026-11-28 08:08:38.476161+00', 1);
INSERT INTO public.webhook_subscription VALUES (1, 'receiver', 'http://127.0.0.1:35287/webhooks/demo?token=sender-token-0123456789', '["report.run"]', true, 'gAAAAABrCowGBjc2hWmhcfrRIr3dMM69OuyE27b4l-Mm1A5MbmOff7bGd1vBiOnraDzzMyyzkD1jHX_or9D3YaBfPN2SrD1IMtZqC5r_nBGIhLWnKYeAru2tGM_e3h8ZAwZ6eKayzWz6spApNjOJ-Y2takisqdiQmA==', NULL, '2026-11-28 08:08:38.749867+00', 1, NULL, NULL, NULL, 'S5r9yRgOqQja', '2026-11-28 08:08:38.788565+00', 1);
INSERT INTO public.workspace VALUES ('Main Workspace', 'I0SR7Q4690up', '2026-11-28 08:08:36.330746+00', 1);
SELECT pg_catalog.setval('public.api_token_id_seq', 2, true);
SELECT pg_catalog.setval('public.app_user_id_seq', 1, true);
SELECT pg_catalog.setval('public.block_id_seq', 3, true);
SELECT pg_catalog.setval('public.block_result_id_seq', 6, true);
SELECT pg_catalog.setval('public.data_source_id_seq', 1, true);
SELECT pg_catalog.setval('public.deleted_folder_id_seq', 1, false);
SELECT pg_catalog.setval('public.deleted_rows_id_seq', 1, false);
SELECT pg_catalog.setval('public.delivery_attempt_id_seq', 2, true);
SELECT pg_catalog.setval('public.delivery_id_seq', 2, true);
SELECT pg_catalog.setval('public.ended_session_id_seq', 1, false);
SELECT pg_catalog.setval('public.installation_id_seq', 1, false);
SELECT pg_catalog.setval('public.membership_id_seq', 1, true);
SELECT pg_catalog.setval('public.message_id_seq', 1, false);
SELECT pg_catalog.setval('public.outbox_event_id_seq', 2, true);
SELECT pg_catalog.setval('public.query_id_seq', 1, true);
SELECT pg_catalog.setval('public.query_run_id_seq', 1, false);
SELECT pg_catalog.setval('public.report_id_seq', 1, true);
SELECT pg_catalog.setval('public.retired_secret_id_seq', 1, false);
SELECT pg_catalog.setval('public.row_count_id_seq', 1, false);
SELECT pg_catalog.setval('public.run_id_seq', 3, true);
SELECT pg_catalog.setval('public.run_log_id_seq', 10, true);
SELECT pg_catalog.setval('public.schedule_id_seq', 1, false);
SELECT pg_catalog.setval('public.webhook_id_seq', 1, true);
SELECT pg_catalog.setval('public.webhook_subscription_id_seq', 1, true);
SELECT pg_catalog.setval('public.work_signal_id_seq', 1, false);
SELECT pg_catalog.setval('public.worker_id_seq', 1, true);
SELECT pg_catalog.setval('public.workspace_id_seq', 1, true);
ALTER TABLE ONLY public.api_token
    ADD CONSTRAINT pk_api_token PRIMARY KEY (id);
ALTER TABLE ONLY public.app_user
    ADD CONSTRAINT pk_app_user PRIMARY KEY (id);
ALTER TABLE ONLY public.block
    ADD CONSTRAINT pk_block PRIMARY KEY (id);
ALTER TABLE ONLY public.block_result
    ADD CONSTRAINT pk_block_result PRIMARY KEY (id);
ALTER TABLE ONLY public.data_source
    ADD CONSTRAINT pk_data_source PRIMARY KEY (id);
ALTER TABLE ONLY public.deleted_folder
    ADD CONSTRAINT pk_deleted_folder PRIMARY KEY (id);
ALTER TABLE ONLY public.deleted_rows
    ADD CONSTRAINT pk_deleted_rows PRIMARY KEY (id);
ALTER TABLE ONLY public.delivery
    ADD CONSTRAINT pk_delivery PRIMARY KEY (id);
ALTER TABLE ONLY public.delivery_attempt
    ADD CONSTRAINT pk_delivery_attempt PRIMARY KEY (id);
ALTER TABLE ONLY public.ended_session
    ADD CONSTRAINT pk_ended_session PRIMARY KEY (id);
ALTER TABLE ONLY public.installation
    ADD CONSTRAINT pk_installation PRIMARY KEY (id);
ALTER TABLE ONLY public.membership
    ADD CONSTRAINT pk_membership PRIMARY KEY (id);
ALTER TABLE ONLY public.message
    ADD CONSTRAINT pk_message PRIMARY KEY (id);
ALTER TABLE ONLY public.outbox_event
    ADD CONSTRAINT pk_outbox_event PRIMARY KEY (id);
ALTER TABLE ONLY public.query
    ADD CONSTRAINT pk_query PRIMARY KEY (id);
ALTER TABLE ONLY public.query_run
    ADD CONSTRAINT pk_query_run PRIMARY KEY (id);
ALTER TABLE ONLY public.report
    ADD CONSTRAINT pk_report PRIMARY KEY (id);
ALTER TABLE ONLY public.retired_secret
    ADD CONSTRAINT pk_retired_secret PRIMARY KEY (id);
ALTER TABLE ONLY public.row_count
    ADD CONSTRAINT pk_row_count PRIMARY KEY (id);
ALTER TABLE ONLY public.run
    ADD CONSTRAINT pk_run PRIMARY KEY (id);
ALTER TABLE ONLY public.run_log
    ADD CONSTRAINT pk_run_log PRIMARY KEY (id);
ALTER TABLE ONLY public.schedule
    ADD CONSTRAINT pk_schedule PRIMARY KEY (id);
ALTER TABLE ONLY public.webhook
    ADD CONSTRAINT pk_webhook PRIMARY KEY (id);
ALTER TABLE ONLY public.webhook_subscription
    ADD CONSTRAINT pk_webhook_subscription PRIMARY KEY (id);
ALTER TABLE ONLY public.work_signal
    ADD CONSTRAINT pk_work_signal PRIMARY KEY (id);
ALTER TABLE ONLY public.worker
    ADD CONSTRAINT pk_worker PRIMARY KEY (id);
ALTER TABLE ONLY public.workspace
    ADD CONSTRAINT pk_workspace PRIMARY KEY (id);
ALTER TABLE ONLY public.pushmetrics_service_version
    ADD CONSTRAINT pushmetrics_service_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.api_token
    ADD CONSTRAINT uq_api_token_token_hash UNIQUE (token_hash);
ALTER TABLE ONLY public.api_token
    ADD CONSTRAINT uq_api_token_uid UNIQUE (uid);
ALTER TABLE ONLY public.app_user
    ADD CONSTRAINT uq_app_user_email UNIQUE (email);
ALTER TABLE ONLY public.app_user
    ADD CONSTRAINT uq_app_user_uid UNIQUE (uid);
ALTER TABLE ONLY public.block
    ADD CONSTRAINT uq_block_report_id_name UNIQUE (report_id, name);
ALTER TABLE ONLY public.block_result
    ADD CONSTRAINT uq_block_result_query_run_id_block_id UNIQUE (query_run_id, block_id);
ALTER TABLE ONLY public.block_result
    ADD CONSTRAINT uq_block_result_run_id_block_id UNIQUE (run_id, block_id);
ALTER TABLE ONLY public.block
    ADD CONSTRAINT uq_block_uid UNIQUE (uid);
ALTER TABLE ONLY public.data_source
    ADD CONSTRAINT uq_data_source_uid UNIQUE (uid);
ALTER TABLE ONLY public.data_source
    ADD CONSTRAINT uq_data_source_workspace_id_name UNIQUE (workspace_id, name);
ALTER TABLE ONLY public.delivery_attempt
    ADD CONSTRAINT uq_delivery_attempt_delivery_id_number UNIQUE (delivery_id, number);
ALTER TABLE ONLY public.delivery
    ADD CONSTRAINT uq_delivery_event_id_subscription_id UNIQUE (event_id, subscription_id);
ALTER TABLE ONLY public.delivery
    ADD CONSTRAINT uq_delivery_uid UNIQUE (uid);
ALTER TABLE ONLY public.ended_session
    ADD CONSTRAINT uq_ended_session_sid UNIQUE (sid);
ALTER TABLE ONLY public.installation
    ADD CONSTRAINT uq_installation_uid UNIQUE (uid);
ALTER TABLE ONLY public.membership
    ADD CONSTRAINT uq_membership_user_id_workspace_id UNIQUE (user_id, workspace_id);
ALTER TABLE ONLY public.message
    ADD CONSTRAINT uq_message_uid UNIQUE (uid);
ALTER TABLE ONLY public.outbox_event
    ADD CONSTRAINT uq_outbox_event_uid UNIQUE (uid);
ALTER TABLE ONLY public.query
    ADD CONSTRAINT uq_query_block_id UNIQUE (block_id);
ALTER TABLE ONLY public.query_run
    ADD CONSTRAINT uq_query_run_uid UNIQUE (uid);
ALTER TABLE ONLY public.query
    ADD CONSTRAINT uq_query_uid UNIQUE (uid);
ALTER TABLE ONLY public.report
    ADD CONSTRAINT uq_report_uid UNIQUE (uid);
ALTER TABLE ONLY public.row_count
    ADD CONSTRAINT uq_row_count_workspace_id_kind UNIQUE (workspace_id, kind);
ALTER TABLE ONLY public.run_log
    ADD CONSTRAINT uq_run_log_uid UNIQUE (uid);
ALTER TABLE ONLY public.run
    ADD CONSTRAINT uq_run_report_id_idempotency_key UNIQUE (report_id, idempotency_key);
ALTER TABLE ONLY public.run
    ADD CONSTRAINT uq_run_uid UNIQUE (uid);
ALTER TABLE ONLY public.schedule
    ADD CONSTRAINT uq_schedule_uid UNIQUE (uid);
ALTER TABLE ONLY public.webhook_subscription
    ADD CONSTRAINT uq_webhook_subscription_uid UNIQUE (uid);
ALTER TABLE ONLY public.webhook
    ADD CONSTRAINT uq_webhook_uid UNIQUE (uid);
ALTER TABLE ONLY public.work_signal
    ADD CONSTRAINT uq_work_signal_name UNIQUE (name);
ALTER TABLE ONLY public.worker
    ADD CONSTRAINT uq_worker_worker_id UNIQUE (worker_id);
ALTER TABLE ONLY public.workspace
    ADD CONSTRAINT uq_workspace_uid UNIQUE (uid);
CREATE INDEX ix_api_token_workspace_id ON public.api_token USING btree (workspace_id);
CREATE INDEX ix_block_result_block ON public.block_result USING btree (block_id, id);
CREATE INDEX ix_block_result_output ON public.block_result USING btree (finished_on, id) WHERE ((((type)::text = 'text'::text) OR ((type)::text = 'chart'::text)) AND (output IS NOT NULL));
CREATE INDEX ix_deleted_folder_due_on ON public.deleted_folder USING btree (due_on);
CREATE INDEX ix_deleted_rows_workspace_id_kind ON public.deleted_rows USING btree (workspace_id, kind);
CREATE INDEX ix_delivery_age ON public.delivery USING btree (workspace_id, created_on);
CREATE INDEX ix_delivery_claimed ON public.delivery USING btree (worker_id) WHERE ((worker_id IS NOT NULL) AND (finished_on IS NULL));
CREATE INDEX ix_delivery_event_list ON public.delivery USING btree (workspace_id, event, id);
CREATE INDEX ix_delivery_list ON public.delivery USING btree (workspace_id, id);
CREATE INDEX ix_delivery_outcomes ON public.delivery USING btree (subscription_id, status, created_on, attempt_count, schedule_start);
CREATE INDEX ix_delivery_status_list ON public.delivery USING btree (workspace_id, status, id);
CREATE INDEX ix_delivery_subscription_id_list ON public.delivery USING btree (workspace_id, subscription_id, id);
CREATE INDEX ix_delivery_waiting ON public.delivery USING btree (subscription_id, next_attempt_on, attempt_count, schedule_start) WHERE ((worker_id IS NULL) AND (finished_on IS NULL));
CREATE INDEX ix_ended_session_until ON public.ended_session USING btree (until);
CREATE INDEX ix_membership_workspace_id ON public.membership USING btree (workspace_id);
CREATE INDEX ix_message_age ON public.message USING btree (workspace_id, created_on);
CREATE INDEX ix_message_block_result_id ON public.message USING btree (block_result_id);
CREATE INDEX ix_message_claimed ON public.message USING btree (worker_id) WHERE ((worker_id IS NOT NULL) AND ((status)::text = 'pending'::text));
CREATE INDEX ix_message_list ON public.message USING btree (workspace_id, id);
CREATE INDEX ix_message_waiting ON public.message USING btree (kind, next_attempt_on) WHERE ((worker_id IS NULL) AND ((status)::text = 'pending'::text));
CREATE INDEX ix_outbox_event_age ON public.outbox_event USING btree (workspace_id, created_on);
CREATE INDEX ix_outbox_event_run_id ON public.outbox_event USING btree (run_id) WHERE (run_id IS NOT NULL);
CREATE INDEX ix_query_report_id ON public.query USING btree (report_id);
CREATE INDEX ix_query_run_age ON public.query_run USING btree (workspace_id, created_on);
CREATE INDEX ix_query_run_block_id ON public.query_run USING btree (block_id);
CREATE INDEX ix_query_run_claimed ON public.query_run USING btree (worker_id) WHERE ((worker_id IS NOT NULL) AND (finished_on IS NULL));
CREATE INDEX ix_query_run_query_id ON public.query_run USING btree (query_id);
CREATE INDEX ix_query_run_report_id ON public.query_run USING btree (report_id);
CREATE INDEX ix_query_run_status ON public.query_run USING btree (status);
CREATE INDEX ix_query_run_waiting ON public.query_run USING btree (workspace_id, report_id, created_on, lost_workers) WHERE ((worker_id IS NULL) AND (finished_on IS NULL));
CREATE INDEX ix_report_workspace_id ON public.report USING btree (workspace_id);
CREATE INDEX ix_retired_secret_subscription_id ON public.retired_secret USING btree (subscription_id);
CREATE INDEX ix_run_age ON public.run USING btree (workspace_id, created_on);
CREATE INDEX ix_run_claimed ON public.run USING btree (worker_id) WHERE ((worker_id IS NOT NULL) AND (finished_on IS NULL));
CREATE INDEX ix_run_flow_run_id ON public.run USING btree (flow_run_id);
CREATE INDEX ix_run_list ON public.run USING btree (workspace_id, id);
CREATE INDEX ix_run_log_age ON public.run_log USING btree (workspace_id, created_on);
CREATE INDEX ix_run_log_flow_run_id ON public.run_log USING btree (flow_run_id);
CREATE INDEX ix_run_log_list ON public.run_log USING btree (workspace_id, id);
CREATE INDEX ix_run_log_run_id ON public.run_log USING btree (run_id);
CREATE INDEX ix_run_report_id_list ON public.run USING btree (workspace_id, report_id, id);
CREATE INDEX ix_run_status_list ON public.run USING btree (workspace_id, status, id);
CREATE INDEX ix_run_waiting ON public.run USING btree (workspace_id, report_id, created_on, lost_workers) WHERE ((worker_id IS NULL) AND (finished_on IS NULL));
CREATE INDEX ix_schedule_next_run_on ON public.schedule USING btree (next_run_on);
CREATE INDEX ix_schedule_query_id ON public.schedule USING btree (query_id);
CREATE INDEX ix_schedule_report_id ON public.schedule USING btree (report_id);
CREATE INDEX ix_schedule_workspace_id ON public.schedule USING btree (workspace_id);
CREATE INDEX ix_webhook_report_id ON public.webhook USING btree (report_id);
CREATE INDEX ix_webhook_subscription_workspace_id ON public.webhook_subscription USING btree (workspace_id);
CREATE INDEX ix_worker_beat_on ON public.worker USING btree (beat_on);
CREATE TRIGGER count_deleted_delivery AFTER DELETE ON public.delivery REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION public.pushmetrics_count_deleted();
CREATE TRIGGER count_deleted_message AFTER DELETE ON public.message REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION public.pushmetrics_count_deleted();
CREATE TRIGGER count_deleted_run AFTER DELETE ON public.run REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION public.pushmetrics_count_deleted();
CREATE TRIGGER count_deleted_run_log AFTER DELETE ON public.run_log REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION public.pushmetrics_count_deleted();
CREATE TRIGGER signal_active_webhook_subscription AFTER UPDATE OF active ON public.webhook_subscription FOR EACH STATEMENT EXECUTE FUNCTION public.pushmetrics_notify('delivery');
CREATE TRIGGER signal_added_schedule AFTER INSERT ON public.schedule FOR EACH STATEMENT EXECUTE FUNCTION public.pushmetrics_notify('schedule');
CREATE TRIGGER signal_changed_schedule AFTER UPDATE OF next_run_on, active ON public.schedule FOR EACH STATEMENT EXECUTE FUNCTION public.pushmetrics_notify('schedule');
CREATE TRIGGER signal_new_delivery AFTER INSERT ON public.delivery FOR EACH STATEMENT EXECUTE FUNCTION public.pushmetrics_notify('delivery');
CREATE TRIGGER signal_new_message AFTER INSERT ON public.message FOR EACH STATEMENT EXECUTE FUNCTION public.pushmetrics_notify('message');
CREATE TRIGGER signal_new_query_run AFTER INSERT ON public.query_run FOR EACH STATEMENT EXECUTE FUNCTION public.pushmetrics_notify('run');
CREATE TRIGGER signal_new_run AFTER INSERT ON public.run FOR EACH STATEMENT EXECUTE FUNCTION public.pushmetrics_notify('run');
CREATE TRIGGER signal_waiting_delivery AFTER UPDATE OF worker_id, next_attempt_on ON public.delivery FOR EACH ROW WHEN (((new.worker_id IS NULL) AND (new.finished_on IS NULL))) EXECUTE FUNCTION public.pushmetrics_notify('delivery');
CREATE TRIGGER signal_waiting_message AFTER UPDATE OF worker_id, next_attempt_on ON public.message FOR EACH ROW WHEN (((new.worker_id IS NULL) AND ((new.status)::text = 'pending'::text))) EXECUTE FUNCTION public.pushmetrics_notify('message');
CREATE TRIGGER signal_waiting_query_run AFTER UPDATE OF worker_id ON public.query_run FOR EACH ROW WHEN (((new.worker_id IS NULL) AND (new.finished_on IS NULL))) EXECUTE FUNCTION public.pushmetrics_notify('run');
CREATE TRIGGER signal_waiting_run AFTER UPDATE OF worker_id ON public.run FOR EACH ROW WHEN (((new.worker_id IS NULL) AND (new.finished_on IS NULL))) EXECUTE FUNCTION public.pushmetrics_notify('run');
ALTER TABLE ONLY public.api_token
    ADD CONSTRAINT fk_api_token_user_id FOREIGN KEY (user_id) REFERENCES public.app_user(id);
ALTER TABLE ONLY public.api_token
    ADD CONSTRAINT fk_api_token_workspace_id FOREIGN KEY (workspace_id) REFERENCES public.workspace(id);
ALTER TABLE ONLY public.block
    ADD CONSTRAINT fk_block_report_id FOREIGN KEY (report_id) REFERENCES public.report(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.block_result
    ADD CONSTRAINT fk_block_result_query_run_id FOREIGN KEY (query_run_id) REFERENCES public.query_run(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.block_result
    ADD CONSTRAINT fk_block_result_run_id FOREIGN KEY (run_id) REFERENCES public.run(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.data_source
    ADD CONSTRAINT fk_data_source_workspace_id FOREIGN KEY (workspace_id) REFERENCES public.workspace(id);
ALTER TABLE ONLY public.delivery_attempt
    ADD CONSTRAINT fk_delivery_attempt_delivery_id FOREIGN KEY (delivery_id) REFERENCES public.delivery(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.delivery
    ADD CONSTRAINT fk_delivery_event_id FOREIGN KEY (event_id) REFERENCES public.outbox_event(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.delivery
    ADD CONSTRAINT fk_delivery_subscription_id FOREIGN KEY (subscription_id) REFERENCES public.webhook_subscription(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.delivery
    ADD CONSTRAINT fk_delivery_workspace_id FOREIGN KEY (workspace_id) REFERENCES public.workspace(id);
ALTER TABLE ONLY public.membership
    ADD CONSTRAINT fk_membership_user_id FOREIGN KEY (user_id) REFERENCES public.app_user(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.membership
    ADD CONSTRAINT fk_membership_workspace_id FOREIGN KEY (workspace_id) REFERENCES public.workspace(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.message
    ADD CONSTRAINT fk_message_block_result_id FOREIGN KEY (block_result_id) REFERENCES public.block_result(id) ON DELETE SET NULL;
ALTER TABLE ONLY public.message
    ADD CONSTRAINT fk_message_workspace_id FOREIGN KEY (workspace_id) REFERENCES public.workspace(id);
ALTER TABLE ONLY public.outbox_event
    ADD CONSTRAINT fk_outbox_event_workspace_id FOREIGN KEY (workspace_id) REFERENCES public.workspace(id);
ALTER TABLE ONLY public.query
    ADD CONSTRAINT fk_query_block_id FOREIGN KEY (block_id) REFERENCES public.block(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.query
    ADD CONSTRAINT fk_query_report_id FOREIGN KEY (report_id) REFERENCES public.report(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.query_run
    ADD CONSTRAINT fk_query_run_block_id FOREIGN KEY (block_id) REFERENCES public.block(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.query_run
    ADD CONSTRAINT fk_query_run_query_id FOREIGN KEY (query_id) REFERENCES public.query(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.query_run
    ADD CONSTRAINT fk_query_run_report_id FOREIGN KEY (report_id) REFERENCES public.report(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.query_run
    ADD CONSTRAINT fk_query_run_workspace_id FOREIGN KEY (workspace_id) REFERENCES public.workspace(id);
ALTER TABLE ONLY public.report
    ADD CONSTRAINT fk_report_owner_id FOREIGN KEY (owner_id) REFERENCES public.app_user(id);
ALTER TABLE ONLY public.report
    ADD CONSTRAINT fk_report_workspace_id FOREIGN KEY (workspace_id) REFERENCES public.workspace(id);
ALTER TABLE ONLY public.retired_secret
    ADD CONSTRAINT fk_retired_secret_subscription_id FOREIGN KEY (subscription_id) REFERENCES public.webhook_subscription(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.row_count
    ADD CONSTRAINT fk_row_count_workspace_id FOREIGN KEY (workspace_id) REFERENCES public.workspace(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.run_log
    ADD CONSTRAINT fk_run_log_run_id FOREIGN KEY (run_id) REFERENCES public.run(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.run_log
    ADD CONSTRAINT fk_run_log_workspace_id FOREIGN KEY (workspace_id) REFERENCES public.workspace(id);
ALTER TABLE ONLY public.run
    ADD CONSTRAINT fk_run_report_id FOREIGN KEY (report_id) REFERENCES public.report(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.run
    ADD CONSTRAINT fk_run_workspace_id FOREIGN KEY (workspace_id) REFERENCES public.workspace(id);
ALTER TABLE ONLY public.schedule
    ADD CONSTRAINT fk_schedule_query_id FOREIGN KEY (query_id) REFERENCES public.query(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.schedule
    ADD CONSTRAINT fk_schedule_report_id FOREIGN KEY (report_id) REFERENCES public.report(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.schedule
    ADD CONSTRAINT fk_schedule_workspace_id FOREIGN KEY (workspace_id) REFERENCES public.workspace(id);
ALTER TABLE ONLY public.webhook
    ADD CONSTRAINT fk_webhook_report_id FOREIGN KEY (report_id) REFERENCES public.report(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.webhook_subscription
    ADD CONSTRAINT fk_webhook_subscription_workspace_id FOREIGN KEY (workspace_id) REFERENCES public.workspace(id);
