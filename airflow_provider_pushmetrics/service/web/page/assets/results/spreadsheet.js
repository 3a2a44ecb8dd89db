// Rows as the text that spreadsheets paste.

/**
 * Write rows with tabs between cells. NULL is an empty cell and the empty text is quoted, as in CSV.
 *
 * @param {readonly (readonly (string | null)[])[]} rows
 */
export const writeTable = (rows) => rows.map((row) => `${row.map(writeCell).join("\t")}\n`).join("");

/** @param {string | null} cell */
function writeCell(cell) {
  if (cell === null) return "";
  return cell === "" || /[\t\n\r"]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell;
}
