// The events that a webhook can have.

export const EVENTS = ["report", "query"].flatMap((what) =>
  ["created", "updated", "deleted", "run"].map((event) => `${what}.${event}`),
);
