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
INSERT INTO public.api_token VALUES (1, 1, 'bootstrap', '9c988efde756caa073cc389710a2fc30cf509de5d7973bb13118b9bc5c942058', NULL, NULL, NULL, 'opccgOkMzGFN', '2026-11-28 04:39:05.129346+00', 1);
INSERT INTO public.api_token VALUES (1, 1, 'of a user', '862dfc0094a3bc473cd15210ef4c0480108c57f5debca72f6d37922f9e873071', 'pmpat_aFDBKL', NULL, NULL, 'CVVVLrXrSQYr', '2026-11-28 04:39:05.250707+00', 2);
INSERT INTO public.app_user VALUES ('admin@localhost', 'Admin', '', '2026-11-28 04:39:08.226977+00', 'SePa3X876Uzi', '2026-11-28 04:39:05.126058+00', 1);
INSERT INTO public.block VALUES (1, 0, 'parameter', 'month', NULL, '{"default": 1, "type": "integer", "required": false}', 'C3dQw3IBcDKk', '2026-11-28 04:39:05.218878+00', 1);
INSERT INTO public.block VALUES (1, 1, 'parameter', 'text', NULL, '{"default": "{}", "type": "text", "required": false}', 'xt7IT1Jx0FgA', '2026-11-28 04:39:05.224847+00', 2);
INSERT INTO public.block VALUES (1, 2, 'sql', 'q', NULL, '{"database_id": 1, "sql": "SELECT {{ month }} AS month, json({{ text }}) AS checked"}', 'NKELjuH98KG3', '2026-11-28 04:39:05.226319+00', 3);
INSERT INTO public.block_result VALUES (1, NULL, 2, 'xt7IT1Jx0FgA', NULL, 1, 'text', 'parameter', 'success', NULL, NULL, NULL, '75fef1ba63f7ccd373a210b529f9b1487809b37cf581139689f15217a636d833', NULL, NULL, NULL, NULL, false, '2026-11-28 04:39:05.314545+00', '2026-11-28 04:39:05.318477+00', 1);
INSERT INTO public.block_result VALUES (1, NULL, 1, 'C3dQw3IBcDKk', NULL, 0, 'month', 'parameter', 'success', NULL, NULL, NULL, '14382b02674afbfda1caba22c05bbecd1fb4adaa088e178d08e2c88b85d22c11', NULL, NULL, NULL, NULL, false, '2026-11-28 04:39:05.312987+00', '2026-11-28 04:39:05.324741+00', 2);
INSERT INTO public.block_result VALUES (1, NULL, 3, 'NKELjuH98KG3', 1, 2, 'q', 'sql', 'success', NULL, NULL, NULL, '14cb15ada36c23a8e8194aabfac4a72030d43f320a9bdc00594a02f5bfd8c0a9', 1, 'run-1/NKELjuH98KG3-UAGqbXObfRmx.parquet', 10000000, 3600, false, '2026-11-28 04:39:05.328551+00', '2026-11-28 04:39:05.344999+00', 3);
INSERT INTO public.block_result VALUES (2, NULL, 1, 'C3dQw3IBcDKk', NULL, 0, 'month', 'parameter', 'success', NULL, NULL, NULL, '14382b02674afbfda1caba22c05bbecd1fb4adaa088e178d08e2c88b85d22c11', NULL, NULL, NULL, NULL, false, '2026-11-28 04:39:05.438245+00', '2026-11-28 04:39:05.440227+00', 4);
INSERT INTO public.block_result VALUES (2, NULL, 2, 'xt7IT1Jx0FgA', NULL, 1, 'text', 'parameter', 'success', NULL, NULL, NULL, '75fef1ba63f7ccd373a210b529f9b1487809b37cf581139689f15217a636d833', NULL, NULL, NULL, NULL, false, '2026-11-28 04:39:05.438876+00', '2026-11-28 04:39:05.442114+00', 5);
INSERT INTO public.block_result VALUES (2, NULL, 3, 'NKELjuH98KG3', 1, 2, 'q', 'sql', 'failed', 'malformed JSON', NULL, NULL, '14cb15ada36c23a8e8194aabfac4a72030d43f320a9bdc00594a02f5bfd8c0a9', NULL, NULL, 10000000, 3600, false, '2026-11-28 04:39:05.444414+00', '2026-11-28 04:39:05.451237+00', 6);
INSERT INTO public.data_source VALUES (1, 'empty H7jsMw5bBAuv', 'sqlite', 'gAAAAABrClrpJfFeOqP5VqPQv-SbIoq-dQgKfsclI7XyObtfQhjviCVyJ3O8LyARfXR6Rr7QG4Ni7Ms9n2_bk2v5b0ddFQFaXY5j4FsvV-gmkqTStLySvQ0=', 'j8L1m7IxcqSg', '2026-11-28 04:39:05.211829+00', 1);
INSERT INTO public.delivery VALUES (1, 1, 1, 'report.run', 'delivered', 1, 0, NULL, '2026-11-28 04:39:05.352673+00', '2026-11-28 04:39:05.404072+00', 'bURMBH2AhtAw', '2026-11-28 04:39:05.354133+00', 1);
INSERT INTO public.delivery VALUES (1, 2, 1, 'report.run', 'delivered', 1, 0, NULL, '2026-11-28 04:39:05.456883+00', '2026-11-28 04:39:05.47437+00', 'UaqpHk6MMPpn', '2026-11-28 04:39:05.457091+00', 2);
INSERT INTO public.delivery_attempt VALUES (1, 1, '2026-11-28 04:39:05.369291+00', 29, 202, NULL, '{"id": 1, "outcome": "accepted"}', 1);
INSERT INTO public.delivery_attempt VALUES (2, 1, '2026-11-28 04:39:05.46313+00', 9, 202, NULL, '{"id": 2, "outcome": "accepted"}', 2);
INSERT INTO public.membership VALUES (1, 1, 'Admin', 1);
INSERT INTO public.outbox_event VALUES (1, 'report.run', 1, '{"event":"report.run","report_id":1,"report_name":"Made by a test","workspace_id":1,"workspace_name":"Main Workspace","report_notebook_outputs":"http://127.0.0.1:44783/api/reports/1/run/1","queries":[{"query_id":1,"query_name":"q","query_result":"http://127.0.0.1:44783/api/reports/1/queries/1/reportRun/1"}],"timestamp":"2026-11-28T04:39:05+00:00"}', NULL, 'msg_aDLhCGqDxJo7t7jRArMEXCcu', '2026-11-28 04:39:05.350969+00', 1);
INSERT INTO public.outbox_event VALUES (1, 'report.run', 2, '{"event":"report.run","report_id":1,"report_name":"Made by a test","workspace_id":1,"workspace_name":"Main Workspace","report_notebook_outputs":"http://127.0.0.1:44783/api/reports/1/run/2","queries":[{"query_id":1,"query_name":"q","query_result":"http://127.0.0.1:44783/api/reports/1/queries/1/reportRun/2"}],"timestamp":"2026-11-28T04:39:05+00:00"}', NULL, 'msg_hEGgsQ46u3esxxzYdLbWUUUK', '2026-11-28 04:39:05.455028+00', 2);
INSERT INTO public.pushmetrics_service_version VALUES ('0.1_0001');
INSERT INTO public.query VALUES (1, 3, 'ALdT26Ppf0PU', '2026-11-28 04:39:05.227341+00', 1);
INSERT INTO public.report VALUES (1, 'Made by a test', '', 'report', NULL, 'UTC', NULL, '2026-11-28 04:39:05.215993+00', 'ynSFF9lRP7T7', '2026-11-28 04:39:05.216021+00', 1);
INSERT INTO public.run VALUES (1, 1, 'success', 'webhook', '{"month": 2}', '{"month": 2, "text": "{}"}', NULL, 'hWnnvkkDyRuZ', '2026-11-28 04:39:05.215993+00', 0, 'e8eb1171-d79e-4057-aad6-4464136fe111', NULL, 0, 1, NULL, NULL, NULL, NULL, '2026-11-28 04:39:05.299271+00', '2026-11-28 04:39:05.342308+00', NULL, 'd4kRajvTvlAw', '2026-11-28 04:39:05.271316+00', 1);
INSERT INTO public.run VALUES (1, 1, 'failed', 'webhook', '{"text": "{"}', '{"month": 1, "text": "{"}', NULL, 'hWnnvkkDyRuZ', '2026-11-28 04:39:05.215993+00', 0, '3894aef9-6312-4f36-baee-cfa72bed3bf4', NULL, 0, 1, NULL, NULL, NULL, NULL, '2026-11-28 04:39:05.431989+00', '2026-11-28 04:39:05.449566+00', 'block ''q'': malformed JSON', 'Sdrdwbk12tgt', '2026-11-28 04:39:05.417191+00', 2);
INSERT INTO public.run VALUES (1, 1, 'pending', 'webhook', '{"month": 2}', '{"month": 2, "text": "{}"}', 'b27f962ebe4c82286ed10ee20c1d734697928d1565156db3', NULL, NULL, 0, '793dc787-0b3c-4660-8f09-fd94bf1172e4', NULL, 0, 1, NULL, 'Airflow user_dag.run_report (run manual__2026-01-01, try 1)', NULL, NULL, NULL, NULL, NULL, 'dVZnkmEPPvEK', '2026-11-28 04:39:08.285766+00', 3);
INSERT INTO public.run_log VALUES (1, 1, 'e8eb1171-d79e-4057-aad6-4464136fe111', NULL, 'INFO', 'the run begins', 'wtjnOG4sehvb', '2026-11-28 04:39:05.309113+00', 1);
INSERT INTO public.run_log VALUES (1, 1, 'e8eb1171-d79e-4057-aad6-4464136fe111', 'xt7IT1Jx0FgA', 'INFO', 'block ''text'': success', 'v5nff6Hoe5t6', '2026-11-28 04:39:05.321137+00', 2);
INSERT INTO public.run_log VALUES (1, 1, 'e8eb1171-d79e-4057-aad6-4464136fe111', 'C3dQw3IBcDKk', 'INFO', 'block ''month'': success', 'BUqfX8lHkf7Y', '2026-11-28 04:39:05.325928+00', 3);
INSERT INTO public.run_log VALUES (1, 1, 'e8eb1171-d79e-4057-aad6-4464136fe111', 'NKELjuH98KG3', 'INFO', 'block ''q'': success, 1 rows', 'Z9oHKdPmTcgr', '2026-11-28 04:39:05.349837+00', 4);
INSERT INTO public.run_log VALUES (1, 1, 'e8eb1171-d79e-4057-aad6-4464136fe111', NULL, 'INFO', 'the run ends: success', 'ClWa2alAxqy3', '2026-11-28 04:39:05.349843+00', 5);
INSERT INTO public.run_log VALUES (1, 2, '3894aef9-6312-4f36-baee-cfa72bed3bf4', NULL, 'INFO', 'the run begins', 'LsxgDPwQOkPX', '2026-11-28 04:39:05.434253+00', 6);
INSERT INTO public.run_log VALUES (1, 2, '3894aef9-6312-4f36-baee-cfa72bed3bf4', 'C3dQw3IBcDKk', 'INFO', 'block ''month'': success', 'ncdFf6PmRCo0', '2026-11-28 04:39:05.441451+00', 7);
INSERT INTO public.run_log VALUES (1, 2, '3894aef9-6312-4f36-baee-cfa72bed3bf4', 'xt7IT1Jx0FgA', 'INFO', 'block ''text'': success', 'uVBwKN7dxyg4', '2026-11-28 04:39:05.442718+00', 8);
INSERT INTO public.run_log VALUES (1, 2, '3894aef9-6312-4f36-baee-cfa72bed3bf4', 'NKELjuH98KG3', 'ERROR', 'block ''q'': failed, malformed JSON', 'OOF5uxXjpdm2', '2026-11-28 04:39:05.453463+00', 9);
INSERT INTO public.run_log VALUES (1, 2, '3894aef9-6312-4f36-baee-cfa72bed3bf4', NULL, 'INFO', 'the run ends: failed', 'hEzoDTQs6c5M', '2026-11-28 04:39:05.453471+00', 10);
INSERT INTO public.webhook VALUES (1, true, '80d554de84c23f9657a7104a6bd8f166b9d187bf82e53c21776fe064d61fd261', 'gAAAAABrClrpytaOW7wAq1Hi9Wda4L9VN9lA5diWjaMQ7AHu7pfU261-OccnNwnahI2OPoVUel5aJVnYbXNrtQg8Nd6YFbDUQaZqykFnCd-TfCIdXM7kn5hd0pcB4qAZmCahDE_ONHWW', NULL, NULL, NULL, '2026-11-28 04:39:05.229309+00', 'h31JK4EbQmOt', '2026-11-28 04:39:05.229846+00', 1);
INSERT INTO public.webhook_subscription VALUES (1, 'receiver', 'http://127.0.0.1:34421/webhooks/demo?token=sender-token-0123456789', '["report.run"]', true, 'gAAAAABrClrpqvjyP8mvVkxjHITLN5Qqs2yFzditRDO97puVAuro-02PuwLpnyiSi8ubNIImqgjh8HHNBINeVOxvUvj5XpFkUWNU71YrfY5_pznCqTf7c1SgUS2_HD7qIZ2qoz8b_P8oUkAEPWVTgr5IrtzysOuSFg==', NULL, '2026-11-28 04:39:05.242036+00', 1, NULL, NULL, NULL, 'j81YOPnfl1g7', '2026-11-28 04:39:05.242051+00', 1);
INSERT INTO public.workspace VALUES ('Main Workspace', 'nSoS0GJCvPEI', '2026-11-28 04:39:05.127204+00', 1);
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
CREATE INDEX ix_schedule_report_id ON public.schedule USING btree (report_id);
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
