// The types of what the API answers, and of what the pages are made of. Read by tsc alone; nothing of it is shipped.

/** The resources of the API, as the pages use them. Moments are ISO 8601 texts. */
declare namespace Api {
  type Moment = string;

  /** The resources that are listed page by page, by the path of their list. */
  interface Lists {
    "api/v1/block/": BlockRow;
    "api/v1/database/": Database;
    "api/v1/message/": Message;
    "api/v1/noteflow_run/": Run;
    "api/v1/noteflow_run_log/": LogLine;
    "api/v1/report/": Report;
    "api/v1/role/": Role;
    "api/v1/schedule/": Schedule;
    "api/v1/user/": User;
    "api/v1/webhook/": Trigger;
    "api/v1/webhook_delivery/": Delivery;
    "api/v1/webhook_subscription/": Subscription;
  }

  interface List<Row> {
    count: number;
    ids: (number | string)[];
    result: Row[];
  }

  interface One<Row> {
    id: number | string;
    result: Row;
  }

  /** A filter of a list: column, operator, value. */
  type Filter = readonly [column: string, operator: string, value: string | number];

  type Query = Record<string, string | number | boolean | null | undefined>;

  interface Report {
    id: number;
    uid: string;
    name: string;
    description: string;
    type: "report" | "notebook";
    folder: string | null;
    time_zone: string;
    /** The mail address of who created it. */
    owner: string | null;
    created_on: Moment;
    updated_on: Moment | null;
    workflow_enabled: boolean;
    /** Of the page of reports only. */
    activity?: ReportActivity;
    /** What its owner is called on a page of reports. */
    owner_name?: string;
  }

  interface WholeReport extends Report {
    blocks: BlockSummary[];
    warnings?: string[];
  }

  type BlockType = "parameter" | "sql" | "text" | "chart" | "email" | "slack";

  interface BlockSummary {
    id: number;
    uid: string;
    type: BlockType;
    name: string;
    verbose_name: string | null;
    query_id: number | null;
  }

  interface BlockRow extends BlockSummary {
    content_json: string;
    report_id: number;
    report_uid: string;
    position: number;
    created_on: Moment;
    warnings?: string[];
  }

  /** What a block holds, by its type; the service checks it. */
  // biome-ignore lint/suspicious/noExplicitAny: each type of block has other keys, and users may add some.
  type Content = Record<string, any>;

  interface Block extends BlockRow {
    content: Content;
  }

  /** The values of a parameter; `is_complete` tells whether it may have no other. */
  interface Choices {
    result: unknown[];
    is_complete: boolean;
  }

  type RunStatus = "pending" | "running" | "success" | "failed" | "cancelled";

  interface Run {
    id: number;
    uid: string;
    name: string;
    status: RunStatus;
    origin: string;
    started_by: string | null;
    error: string | null;
    parameters: Record<string, unknown>;
    report_id: number;
    report_uid: string;
    parent_id: number | null;
    re_run_count: number;
    flow_run_id: string;
    created_on: Moment;
    start_time: Moment | null;
    end_time: Moment | null;
  }

  interface LogLine {
    id: number;
    uid: string;
    noteflow_run_id: number;
    flow_run_id: string;
    task_run_id: string | null;
    effective_level: string;
    message: string;
    created_on: Moment;
  }

  type BlockStatus = RunStatus | "not_run";

  /** A block of a run, also one that has not begun. */
  interface BlockActivity {
    block_uid: string;
    name: string;
    type: BlockType;
    status: BlockStatus;
    error: string | null;
    row_count: number | null;
    max_rows: number | null;
    is_truncated: boolean;
    started_on: Moment | null;
    finished_on: Moment | null;
  }

  /** The last runs of a report, the newest first, and its next scheduled run. */
  interface ReportActivity {
    report_id: number;
    runs: (Pick<Run, "id" | "status"> & { duration_ms: number | null })[];
    next_run_on: Moment | null;
  }

  /** What one block of a run that has ended gave. */
  interface Output {
    block_id: number | null;
    name: string;
    type: BlockType;
    status: BlockStatus;
    error: string | null;
    output: string | null;
    output_html: string | null;
    messages: SentMessage[];
    query_id: number | null;
    query_result: string | null;
    row_count: number | null;
    row_limit: number | null;
    max_rows: number | null;
    is_truncated: boolean;
    timeout_seconds: number | null;
    duration_seconds: number | null;
  }

  interface RunOutputs {
    report_id: number;
    run_id: number;
    status: RunStatus;
    blocks: Output[];
  }

  /** One of the last results of a block. */
  interface BlockResult {
    id: number;
    run_id: number | null;
    report_run_id: number | null;
    status: BlockStatus;
    error: string | null;
    output: string | null;
    output_html: string | null;
    messages: SentMessage[];
    row_count: number | null;
    query_result: string | null;
    created_on: Moment;
    finished_on: Moment | null;
  }

  /** Some rows of a result. Cells are texts, so that JavaScript rounds no number. */
  interface Rows {
    columns: { name: string; type: string }[];
    row_count: number;
    row_limit: number | null;
    is_truncated: boolean;
    /** How many rows a search found; all without one. */
    found_count: number;
    /** Whether they can be searched and sorted. */
    can_sort: boolean;
    offset: number;
    rows: (string | null)[][];
  }

  interface Database {
    id: number;
    uid: string;
    database_name: string;
    sqlalchemy_uri: string;
    backend: string;
    expose_in_sqllab: boolean;
    created_on: Moment;
  }

  interface Table {
    name: string;
    schemaName: string;
    type: string;
  }

  interface FoundTable {
    schema: string;
    name: string;
    type: string;
  }

  interface Column {
    name: string;
    type: string;
  }

  type MessageStatus = "pending" | "sent" | "kept" | "failed";

  interface SentMessage {
    id: number;
    uid: string;
    kind: "mail" | "slack";
    recipient: string;
    status: MessageStatus;
    error: string | null;
  }

  interface Message extends SentMessage {
    recipient_name: string | null;
    subject: string;
    text: string;
    files: string[];
    attempt_count: number;
    created_on: Moment;
    finished_on: Moment | null;
  }

  interface Schedule {
    id: number;
    uid: string;
    name: string;
    active: boolean;
    recurrence: string;
    cron: string | null;
    time_zone: string;
    first_start: Moment;
    next_run_on: Moment | null;
    ends_on: string | null;
    max_runs: number | null;
    run_count: number;
    report_id: number;
    report_uid: string;
    query_id: number | null;
    success_recipients: string[];
    failure_recipients: string[];
    created_on: Moment;
  }

  interface Role {
    id: number;
    uid: string;
    name: string;
  }

  interface User {
    id: number;
    uid: string;
    email: string;
    first_name: string;
    last_name: string;
    last_login: Moment | null;
    main_role: { id: number; name: string };
    roles: Role[];
  }

  interface Workspace {
    id: number;
    uid: string;
    name: string;
    is_active: boolean;
  }

  interface Token {
    id: string;
    name: string;
    token_prefix: string | null;
    workspace_id: number;
    created_on: Moment;
    expires_on: Moment | null;
  }

  /** The trigger of a report; its URL and token are in the answer for one, and not in lists. */
  interface Trigger {
    id: number;
    uid: string;
    report_id: number;
    active: boolean;
    details: string | Record<string, string> | null;
    recipients_json: string[];
    slack_recipients_json: string[];
    created_on: Moment;
    url?: string;
    token?: string;
  }

  interface Subscription {
    id: number;
    uid: string;
    name: string;
    url: string;
    events: string[];
    headers: Record<string, string>;
    active: boolean;
    disabled_on: Moment | null;
    disabled_reason: string | null;
    failing_since: Moment | null;
    created_on: Moment;
    /** Of the page of webhooks only. */
    activity?: SubscriptionActivity;
  }

  interface MailServer {
    host: string;
    port: number;
    security: "starttls" | "tls" | "none";
    sender: string;
    user: string | null;
  }

  interface SlackConnection {
    base_url: string;
  }

  /** How notifications are sent; null is not configured. */
  interface NotificationSettings {
    mail: MailServer | null;
    slack: SlackConnection | null;
  }

  /** What became of the deliveries of a period. */
  interface OutcomeCounts {
    delivered: number;
    failed: number;
    retried: number;
    success_rate: number | null;
  }

  interface SuccessRates {
    last_day: OutcomeCounts;
    last_week: OutcomeCounts;
  }

  interface SubscriptionActivity extends SuccessRates {
    subscription_id: number;
  }

  interface Delivery {
    id: number;
    uid: string;
    event: string;
    status: "pending" | "delivered" | "failed";
    webhook_id: string;
    webhook_subscription_id: number;
    attempt_count: number;
    last_status_code: number | null;
    last_error: string | null;
    created_on: Moment;
    finished_on: Moment | null;
    next_attempt_on: Moment | null;
  }

  interface Attempt {
    number: number;
    started_on: Moment;
    duration_ms: number;
    status_code: number | null;
    answer: string | null;
    error: string | null;
  }

  interface WholeDelivery extends Delivery {
    body: unknown;
    attempts: Attempt[];
  }

  /** What a YAML document changes, or would change. */
  interface ConfigChange {
    would_change: boolean;
    summary: { blocks_created: string[]; blocks_updated: string[]; blocks_deleted: string[] };
    yaml_diff: string;
    warnings?: string[];
  }

  interface Session {
    is_signed_in: boolean;
    renew_seconds: number;
    /** Who is signed in, and where; not in the answer to signing in. */
    user?: User;
    workspace?: Workspace;
    /** Whether the service was started with `--demo`. */
    is_demo?: boolean;
    /** The version of all runs: what is read later is not older. */
    runs_version?: string;
  }

  /** What a block refers to. */
  interface BlockReferences {
    uid: string;
    name: string;
    uses: string[];
    upstream: string[];
    unknown: string[];
  }

  /** The references between blocks; a circle has its first block also last. */
  interface References {
    blocks: BlockReferences[];
    circle: string[];
  }

  /** A block as it is being written. */
  interface TypedBlock {
    uid: string;
    type: BlockType;
    name: string;
    content: Content;
  }

  /** The newest result of a block; `changed` names the blocks that were changed since, `gone` those that it used. */
  interface NewestResult {
    block_uid: string;
    name: string;
    type: BlockType;
    kind: "run" | "block_run";
    run_id: number;
    status: BlockStatus;
    error: string | null;
    output: string | null;
    output_html: string | null;
    messages: SentMessage[];
    row_count: number | null;
    max_rows: number | null;
    is_truncated: boolean;
    started_on: Moment | null;
    finished_on: Moment | null;
    parameters: Record<string, unknown>;
    changed: string[];
    gone: string[];
  }

  interface UnfinishedBlock {
    block_uid: string;
    name: string;
    kind: "run" | "block_run";
    run_id: number;
    status: RunStatus;
    started_on: Moment | null;
  }

  /** The state of the blocks of a report. */
  interface Notebook {
    references: References;
    results: NewestResult[];
    unfinished: UnfinishedBlock[];
  }
}

/** The parts of the pages. */
declare namespace Ui {
  /** What becomes a child of an element: lists are flattened, null, undefined and false are left out. */
  type Child = Node | string | number | false | null | undefined | readonly Child[];

  /** Attributes, properties and, with names that begin with "on", listeners. */
  // biome-ignore lint/suspicious/noExplicitAny: each event has a type of its own.
  type Settings = Record<string, string | number | boolean | null | undefined | ((event: any) => unknown)>;

  /** What may be left out of a list: it is written as a condition and what holds under it. */
  type Optional<Value> = Value | false | null | undefined | "";

  /** A column of a table: its heading, what makes a cell from a row, the class of the cells, and what it sorts by. */
  type Column<Row> = readonly [
    title: Child,
    build: (row: Row) => Child,
    kind?: string | null,
    sortsBy?: string,
  ];

  type Order = readonly [column: string, direction: "asc" | "desc"];

  /** The order of a table, and what orders it by a column: again in the other direction. */
  interface Sorting {
    order?: Order;
    sort: (column: string) => unknown;
  }

  /** The buttons between the pages of a list, and what brings them up to date. */
  interface Pager {
    node: HTMLElement;
    update: (state: { text: string; hasPrevious: boolean; hasNext: boolean }) => void;
  }

  /** What shows the page of an address; the signal is aborted when the page is left. */
  type Show = (parameters: Record<string, string>, signal: AbortSignal) => Child | Promise<Child>;

  /** The value of an option and its label. */
  type Option = readonly [value: string | number, label: string];

  type Input = HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement;

  /** A part of a form that has a name and a value. */
  interface Field<Value = unknown, Element extends Input = Input> {
    name: string;
    node: HTMLElement;
    input: Element;
    read: () => Value;
  }

  /** Some part of a form: a field, or what stands between fields. */
  interface FormPart {
    name?: string;
    node: HTMLElement | Comment;
    read?: () => unknown;
  }

  /** The field of a parameter. */
  interface ParameterField extends FormPart {
    name: string;
    /** Says what is wrong with its value; null if nothing is. */
    check: () => string | null;
    /** Gives its value; undefined for the default. */
    getValue: () => unknown;
  }

  /** When a result is read. */
  interface ReadSettings {
    /** Whether it is not read before it is near what is seen. */
    isOnlyNear?: boolean;
    /** Ends the read: its page is left. */
    signal: AbortSignal;
  }

  /** How the output of a block is shown; `onSend` is called when one of its messages is sent again. */
  interface OutputSettings extends ReadSettings {
    onSend: () => unknown;
  }

  /** The rows of a result as a page shows them. */
  interface RowsView {
    base: string;
    /** That of the block. */
    name: string;
    /** Ends what is read: its page is left. */
    signal: AbortSignal;
    place: HTMLElement;
    tools: HTMLElement;
    turn: number;
    search: string;
    order?: Order;
    shown?: Api.Rows;
    pager: Pager;
  }

  /** The values of a form by the names of its fields. */
  // biome-ignore lint/suspicious/noExplicitAny: each field has a type of its own, which its name tells.
  type Values = Record<string, any>;

  interface FieldSettings extends Settings {
    hint?: string;
    value?: string | number | null;
  }

  /** For what an SQL editor is made. */
  interface SqlSettings {
    input: HTMLTextAreaElement;
    label: string;
    /** Chooses the database, if there is one. */
    choice: HTMLSelectElement | null;
    /** The kind of the chosen database, such as `postgresql`; empty if there is none. */
    getBackend: () => string;
    getCatalog: () => import("./page/assets/sql/catalog_reader.js").CatalogReader | null;
    /** The blocks that the SQL may refer to. */
    listBlocks: () => Pick<Api.Block, "name" | "type">[];
  }

  /** What an open SQL editor does for the other parts of the page. */
  interface OpenEditor {
    insert: (text: string) => void;
    showFailure: (failure: { error: string; sql: string } | null) => void;
  }

  /** A list that shows one page at a time. */
  interface ListView {
    node: HTMLElement;
    page: number;
    turn: number;
    polls: number;
    order?: Order;
    show: (page?: number, settings?: { isUnasked?: boolean }) => Promise<unknown>;
  }

  /** What the editor of a block needs to know of its report. */
  interface BlockContext {
    report: Api.Report;
    blocks: Api.Block[];
    databases: Api.Database[];
    signal: AbortSignal;
    /** What the page knows of results and references, and the values with which one runs on it. */
    state: import("./page/assets/notebook/state.js").NotebookState;
    values: import("./page/assets/notebook/values.js").ParameterValues;
  }

  /** An item of a menu; `name` is what a screen reader says, if that is more than the label. */
  interface MenuItem {
    label: string;
    name?: string;
    kind?: string;
    work: () => unknown;
  }

  /** The value of a parameter in an example of a call, and its text in a URL. */
  interface Example {
    name: string;
    value: unknown;
    text: string;
  }

  /** The open editor of a block. */
  interface BlockForm {
    node: HTMLElement;
    /** The content as it stands in the form; throws if it cannot be read. */
    readContent: () => Api.Content;
    readName: () => string;
    /** Whether something was typed and not saved. */
    isTouched: () => boolean;
    /** Show in the SQL where the database found an error; null removes the mark. */
    showFailure: (failure: { error: string; sql: string } | null) => void;
  }

  /** What is done when a block was saved; `isDone` tells that nothing was typed meanwhile. */
  type WhenSaved = (row: Api.BlockRow, isDone: boolean) => unknown;

  /** What the list does for one of its blocks. */
  interface BlockWork {
    refresh: () => Promise<void>;
    placeAll: () => void;
    move: (view: BlockEntry, way: "up" | "down") => Promise<void>;
    remove: (view: BlockEntry) => Promise<void>;
    runFrom: (view: BlockEntry) => Promise<void>;
    goOn: (view: BlockEntry) => void;
    /** Called when a form was closed. */
    whenClosed: () => void;
  }

  /** A block in the picture of the references, or a name that no block has. */
  interface GraphNode {
    name: string;
    uid: string | null;
    x: number;
    y: number;
    isCircular: boolean;
    isUnknown: boolean;
  }

  /** A reference in the picture, from what is used to what uses it. */
  interface GraphEdge {
    from: string;
    to: string;
    isCircular: boolean;
    isUnknown: boolean;
    path: string;
  }

  interface GraphLayout {
    width: number;
    height: number;
    nodes: GraphNode[];
    edges: GraphEdge[];
  }

  /** What the form of a block that is not saved yet needs of the list. */
  interface NewBlockSettings {
    /** The name of what is typed in it. */
    thing: string;
    /** The type of the block, in words. */
    label: string;
    title: string;
    warning: string;
    close: () => void;
    whenSaved: WhenSaved;
    goOn: () => void;
  }

  /** A block of the list, as the list sees it. */
  type BlockEntry = import("./page/assets/blocks/block_view.js").BlockView;

  /** A block that is edited; a new one has only its type and no content. */
  type EditedBlock = Partial<Api.Block> & { type: Api.BlockType; content: Api.Content };

  /** What the form of a chart holds; the names of the choices are those of `charts/chart_spec.js`. */
  interface ChartForm {
    mark: string;
    /** The column along the chart, or of the slices of a pie. */
    x: string;
    xType: string;
    timeUnit: string;
    sort: string;
    /** The column of the values. */
    y: string;
    aggregate: string;
    color: string;
    colorType: string;
    stack: string;
    isHorizontal: boolean;
    title: string;
    width: number | null;
    height: number | null;
    /** The `$schema` of the specification, which the form keeps. */
    schema: string;
  }

  type ChartSpec = Record<string, unknown>;

  /** The rows that a chart of a query can draw. */
  interface ChartRows {
    columns: Api.Column[];
    row_count: number;
    /** Read all rows, as they are in a chart. */
    read: () => Promise<unknown[]>;
  }

  /** What a part of a report's page is made by, and what its form gives. */
  interface BlockEditor {
    makeFields: (content: Api.Content, context: BlockContext) => FormPart[];
    read: (values: Values) => Api.Content;
  }

  /** The pattern of a page's path. */
  interface Pattern {
    expression: RegExp;
    names: string[];
  }

  interface CallSettings {
    body?: unknown;
    text?: string;
    query?: Api.Query;
    signal?: AbortSignal;
    /** Nobody has asked for it, so nobody is to sign in for it. */
    isUnasked?: boolean;
  }

  /** For whom a page is. */
  interface Owner {
    user: Api.User;
    workspace: Api.Workspace;
  }

  /** A whole answer, whatever its status. */
  interface Answer {
    headers: Headers;
    ok: boolean;
    status: number;
    /** When its headers had come, in milliseconds of this machine. */
    begunAt: number;
    text: string;
  }

  interface ListSettings {
    filters?: readonly Optional<Api.Filter>[];
    page?: number;
    size?: number;
    order?: Order;
    query?: Api.Query;
    signal?: AbortSignal;
    isUnasked?: boolean;
  }

  interface ListViewSettings<Path extends keyof Api.Lists> {
    path: Path;
    columns: readonly Optional<Column<Api.Lists[Path]>>[];
    caption: string;
    noun: string;
    nouns?: string;
    whenEmpty: () => Child;
    /** Whether a row will soon change. */
    isMoving?: (row: Api.Lists[Path]) => boolean;
    getFilters?: () => Optional<Api.Filter>[];
    order?: ListSettings["order"];
    query?: Api.Query;
    size?: number;
    /** Whether it is read again whenever runs change. */
    isLive?: boolean;
    /** Adds to the rows of a page what the list does not have. */
    complete?: (
      rows: Api.Lists[Path][],
      settings: Pick<CallSettings, "isUnasked">,
    ) => Promise<Api.Lists[Path][]>;
    /** Called when the reader chose another page or order. */
    onChange?: () => void;
    signal: AbortSignal;
  }

  /** A part of a page that is read again when runs have changed. */
  interface Watch {
    read: () => Promise<unknown>;
    reading: Promise<void> | null;
    /** Whether something changed while it was read. */
    isAgain: boolean;
  }

  interface FormSettings {
    fields: readonly FormPart[];
    submit: string;
    /** Save; `accept` is called when the service has saved, and tells whether nothing was typed meanwhile. */
    send: (values: Values, accept: () => boolean) => unknown;
    cancel?: (() => void) | null;
    more?: readonly Child[];
    kind?: string;
    /** The name of what is typed here, if drafts of it are kept. */
    thing?: string | null;
    /** Whether it is not saved yet, so that nobody else can have changed it. */
    isNew?: boolean;
    /** Ask the service whether it was changed since the form was filled. */
    isOutdated?: () => Promise<boolean>;
  }

  /** What stands in the fields of a form, by their names. */
  type Texts = Record<string, string>;

  /** What was typed and not saved. */
  interface Draft {
    texts: Texts;
    /** What was saved when the typing began. */
    base: Texts;
    /** The fields that hold secrets by their kind. */
    secrets: string[];
    kept_on: number;
  }

  /** The part of the browser's storage that drafts need. */
  type TextStorage = Pick<Storage, "length" | "key" | "getItem" | "setItem" | "removeItem">;

  /** Close a dialog with its answer; null if it was cancelled. */
  type Close<Answer> = (answer: Answer | null) => void;

  /** What one block of a run gave, as far as it is known. */
  type ShownResult = Pick<Api.BlockActivity, "block_uid" | "name" | "type" | "status"> &
    Partial<Api.BlockActivity & Api.Output>;

  /** The top of the page of a run. */
  interface RunSummary {
    node: HTMLElement;
    update: (run: Api.Run, results: readonly ShownResult[]) => void;
  }

  /** What the page of a run shows, and what of it is known already. */
  interface RunView {
    run: Api.Run;
    facts: HTMLElement;
    shownFacts: string;
    actions: HTMLElement;
    blocks: HTMLElement;
    log: HTMLElement;
    summary: RunSummary;
    lastLine: number;
    status: Api.RunStatus | null;
    /** Whether a message of the run waits to be sent. */
    isSending: boolean;
    isFollowed: boolean;
  }

  /** With what a report or a block is run. */
  interface RunRequest {
    parameters: Record<string, unknown>;
    options?: { send_to_me: boolean; email: string | null };
  }
}
