/**
 * What a terminal would act upon instead of showing it: control characters (C0, DEL, C1), line separators, and the
 * marks that turn the direction of writing.
 */
const acting = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/** One line of text that shows everything and does nothing: names and words of strangers stand in it. */
export function printable(text: string): string {
  return text.replace(acting, escaped)
}

/** The same for text of several lines. */
export function printableLines(text: string): string {
  return text.replace(acting, character => (character === '\n' ? character : escaped(character)))
}

/** JSON for terminals and programs alike: still the same value, and nothing that a terminal acts upon. */
export function printableJson(value: unknown, indent?: number): string {
  return printableLines(JSON.stringify(value, undefined, indent))
}

function escaped(character: string): string {
  return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`
}
