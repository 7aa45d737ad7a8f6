/** Formulas as MathML, loaded when the first answer contains one. */

import temml from "temml";

/** The formula; null where it is not TeX that can be set. */
export function formula(source: string, display: boolean): Node | null {
  const holder = document.createElement("span");
  try {
    temml.render(source, holder, { displayMode: display, throwOnError: true, trust: false });
  } catch {
    return null; // the page goes on to show the source
  }
  return holder.firstChild;
}
