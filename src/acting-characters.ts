/**
 * What a terminal would act upon instead of showing it, and what would end a line of a log: control characters (C0, DEL,
 * C1), line separators, and the marks that turn the direction of writing.
 */
export const actingCharacters = /[\p{Cc}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/** As JSON writes it. */
export function escapedCharacter(character: string): string {
  return `\\u${(character.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`
}
