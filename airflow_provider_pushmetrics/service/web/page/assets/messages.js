// Mails and messages to Slack: what was sent, what waits, and what was kept because nobody takes it.

import { part, post } from "./api.js";
import { button } from "./buttons.js";
import { card, el, empty } from "./dom.js";
import { moment, state } from "./format.js";
import { tell } from "./notices.js";
import { makeList } from "./tables.js";

export async function showMessages(_, signal) {
  const mails = makeList({
    path: "api/v1/mail/",
    caption: "Mails",
    noun: "mail",
    signal,
    columns: [
      ["Subject", (mail) => el("details", {}, el("summary", {}, mail.subject || "(no subject)"), el("pre", { class: "output" }, mail.text))],
      ["To", (mail) => mail.recipient ?? "–"],
      ["State", makeState],
      ["Written", (mail) => moment(mail.created_on), "tight"],
      ["", (mail) => canSend(mail) && button("Send", async () => {
        await post(`api/v1/mail/${part(mail.uid)}/send`);
        tell("The mail is on its way, if there is a server for it");
        await mails.show();
      }), "actions-cell"],
    ],
    whenEmpty: () => empty("There are no mails", "Email blocks, triggers and schedules write them. Without a mail server they are kept here."),
  });
  const posts = makeList({
    path: "api/v1/slack_message/",
    caption: "Slack messages",
    noun: "message",
    signal,
    columns: [
      ["Message", (row) => el("details", {}, el("summary", {}, row.text.split("\n")[0].slice(0, 120) || "(empty)"), el("pre", { class: "output" }, row.text))],
      ["Channel", (row) => row.channel],
      ["State", makeState],
      ["Written", (row) => moment(row.created_on), "tight"],
    ],
    whenEmpty: () => empty("There are no messages to Slack", "Slack blocks and triggers write them, when the service has a Slack token."),
  });
  await Promise.all([mails.show(0), posts.show(0)]);
  return [el("h1", {}, "Messages"), card("Mails", mails.node), card("Slack", posts.node)];
}

const canSend = (mail) => mail.status === "kept" || mail.status === "failed";

function makeState(row) {
  return [state(row.status), row.error && el("div", { class: "fault" }, row.error)];
}
