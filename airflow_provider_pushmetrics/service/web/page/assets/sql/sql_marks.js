// The mark of an error in the SQL editor: its line, and what the database said under it.

import { el } from "../elements/dom.js";
import {
  Decoration,
  EditorView,
  GutterMarker,
  gutterLineClass,
  RangeSet,
  StateEffect,
  StateField,
  WidgetType,
} from "../vendored/codemirror.js";

class ErrorText extends WidgetType {
  /** @param {string} text */
  constructor(text) {
    super();
    this.text = text;
  }

  /**
   * @param {ErrorText} other
   * @override
   */
  eq(other) {
    return other.text === this.text;
  }

  /** @override */
  toDOM() {
    return el("div", { class: "cm-error-text" }, this.text);
  }
}

const inGutter = new (class extends GutterMarker {
  /** @override */
  elementClass = "cm-error-gutter";
})();

/** @type {import("@codemirror/state").StateEffectType<{ line: number, text: string } | null>} */
const setError = StateEffect.define();

const errors = StateField.define({
  create: () => /** @type {{ from: number, to: number, text: string } | null} */ (null),
  update(error, transaction) {
    for (const effect of transaction.effects) {
      if (effect.is(setError)) {
        if (!effect.value) return null;
        const { from, to } = transaction.state.doc.line(effect.value.line);
        return { from, to, text: effect.value.text };
      }
    }
    // Who changes the line has read what is said of it.
    if (!error || transaction.changes.touchesRange(error.from, error.to)) return null;
    const from = transaction.changes.mapPos(error.from);
    return { ...error, from, to: transaction.changes.mapPos(error.to) };
  },
  provide: (field) => [
    EditorView.decorations.from(field, (error) =>
      error
        ? Decoration.set([
            Decoration.line({ class: "cm-error-line" }).range(error.from),
            Decoration.widget({ widget: new ErrorText(error.text), block: true, side: 1 }).range(error.to),
          ])
        : Decoration.none,
    ),
    gutterLineClass.from(field, (error) =>
      error ? RangeSet.of([inGutter.range(error.from)]) : RangeSet.empty,
    ),
  ],
});

export const makeErrorMarks = () => errors;

/**
 * Mark the line of an error, or none; who does not see it is told.
 *
 * @param {EditorView} view
 * @param {{ line: number, text: string } | null} error
 */
export function markError(view, error) {
  /** @type {import("@codemirror/state").StateEffect<unknown>[]} */
  const effects = [setError.of(error)];
  if (error) effects.push(EditorView.announce.of(`Line ${error.line}: ${error.text}`));
  view.dispatch({ effects });
}
