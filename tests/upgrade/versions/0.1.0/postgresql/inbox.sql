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
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE public.pushmetrics_inbox_consumers (
    name text NOT NULL,
    "position" bigint NOT NULL,
    updated_at timestamp with time zone NOT NULL,
    taken_by text,
    missed bigint DEFAULT '0'::bigint NOT NULL
);
CREATE TABLE public.pushmetrics_inbox_events (
    id bigint NOT NULL,
    source text NOT NULL,
    delivery_key text NOT NULL,
    received_at timestamp with time zone NOT NULL,
    event text NOT NULL,
    report_id bigint,
    query_id bigint,
    run_id bigint,
    replay_of bigint,
    traceparent text,
    body_bytes integer NOT NULL,
    body bytea NOT NULL
);
CREATE TABLE public.pushmetrics_inbox_rejections (
    id bigint NOT NULL,
    rejected_at timestamp with time zone NOT NULL,
    source text NOT NULL,
    client text NOT NULL,
    status integer NOT NULL,
    outcome text NOT NULL,
    reason text NOT NULL
);
CREATE SEQUENCE public.pushmetrics_inbox_rejections_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.pushmetrics_inbox_rejections_id_seq OWNED BY public.pushmetrics_inbox_rejections.id;
CREATE TABLE public.pushmetrics_inbox_state (
    id integer NOT NULL,
    last_event_id bigint NOT NULL,
    last_deleted_id bigint DEFAULT '0'::bigint NOT NULL
);
CREATE TABLE public.pushmetrics_inbox_version (
    version_num character varying(32) NOT NULL
);
ALTER TABLE ONLY public.pushmetrics_inbox_rejections ALTER COLUMN id SET DEFAULT nextval('public.pushmetrics_inbox_rejections_id_seq'::regclass);
INSERT INTO public.pushmetrics_inbox_consumers VALUES ('airflow-report.run-b241373b49a2', 1, '2026-11-28 08:08:44.209383+00', NULL, 0);
INSERT INTO public.pushmetrics_inbox_events VALUES (1, 'demo', 'sha256:9752b6a2d70ed380576e1b8d158085f426ea2b9e7d0a701a9321060510d2789f', '2026-11-28 08:08:41.539525+00', 'report.run', 1, NULL, 1, NULL, NULL, 349, '\x7b226576656e74223a227265706f72742e72756e222c227265706f72745f6964223a312c227265706f72745f6e616d65223a224d61646520627920612074657374222c22776f726b73706163655f6964223a312c22776f726b73706163655f6e616d65223a224d61696e20576f726b7370616365222c227265706f72745f6e6f7465626f6f6b5f6f757470757473223a22687474703a2f2f3132372e302e302e313a33373638312f6170692f7265706f7274732f312f72756e2f31222c2271756572696573223a5b7b2271756572795f6964223a312c2271756572795f6e616d65223a2271222c2271756572795f726573756c74223a22687474703a2f2f3132372e302e302e313a33373638312f6170692f7265706f7274732f312f717565726965732f312f7265706f727452756e2f31227d5d2c2274696d657374616d70223a22323032362d31312d32385430383a30383a34312b30303a3030227d');
INSERT INTO public.pushmetrics_inbox_events VALUES (2, 'demo', 'sha256:156829e76c79af52817b951bedae9dbdf6edbc87d50200ab6f9da51c487a6609', '2026-11-28 08:08:42.994247+00', 'report.run', 1, NULL, 2, NULL, NULL, 349, '\x7b226576656e74223a227265706f72742e72756e222c227265706f72745f6964223a312c227265706f72745f6e616d65223a224d61646520627920612074657374222c22776f726b73706163655f6964223a312c22776f726b73706163655f6e616d65223a224d61696e20576f726b7370616365222c227265706f72745f6e6f7465626f6f6b5f6f757470757473223a22687474703a2f2f3132372e302e302e313a33373638312f6170692f7265706f7274732f312f72756e2f32222c2271756572696573223a5b7b2271756572795f6964223a312c2271756572795f6e616d65223a2271222c2271756572795f726573756c74223a22687474703a2f2f3132372e302e302e313a33373638312f6170692f7265706f7274732f312f717565726965732f312f7265706f727452756e2f32227d5d2c2274696d657374616d70223a22323032362d31312d32385430383a30383a34322b30303a3030227d');
INSERT INTO public.pushmetrics_inbox_state VALUES (1, 2, 0);
INSERT INTO public.pushmetrics_inbox_version VALUES ('0001');
SELECT pg_catalog.setval('public.pushmetrics_inbox_rejections_id_seq', 1, false);
ALTER TABLE ONLY public.pushmetrics_inbox_consumers
    ADD CONSTRAINT pushmetrics_inbox_consumers_pkey PRIMARY KEY (name);
ALTER TABLE ONLY public.pushmetrics_inbox_events
    ADD CONSTRAINT pushmetrics_inbox_events_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.pushmetrics_inbox_rejections
    ADD CONSTRAINT pushmetrics_inbox_rejections_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.pushmetrics_inbox_state
    ADD CONSTRAINT pushmetrics_inbox_state_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.pushmetrics_inbox_version
    ADD CONSTRAINT pushmetrics_inbox_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY public.pushmetrics_inbox_events
    ADD CONSTRAINT uq_pushmetrics_inbox_delivery UNIQUE (source, delivery_key);
CREATE INDEX ix_pushmetrics_inbox_event ON public.pushmetrics_inbox_events USING btree (event, id) WHERE (event IS NOT NULL);
CREATE INDEX ix_pushmetrics_inbox_query_id ON public.pushmetrics_inbox_events USING btree (query_id, id) WHERE (query_id IS NOT NULL);
CREATE INDEX ix_pushmetrics_inbox_received_at ON public.pushmetrics_inbox_events USING btree (received_at);
CREATE INDEX ix_pushmetrics_inbox_report_id ON public.pushmetrics_inbox_events USING btree (report_id, id) WHERE (report_id IS NOT NULL);
CREATE INDEX ix_pushmetrics_inbox_run_id ON public.pushmetrics_inbox_events USING btree (run_id, id) WHERE (run_id IS NOT NULL);
