import { actingCharacters, escapedCharacter } from '../../acting-characters.ts'

/** Characters that are kept of what callers can fill with anything. */
export const auditTextLimits = Object.freeze({
  account: 255,
  target: 300,
  reference: 160,
  rule: 600,
  userAgent: 256,
  address: 64,
  requestId: 64,
})

/**
 * What a caller has written, as one line that does nothing wherever it is shown: control characters, ends of lines and
 * marks that turn the direction of writing stand there escaped. Undefined for nothing.
 */
export function auditText(text: string | null | undefined, limit: number): string | undefined {
  if (text === null || text === undefined || text === '') return undefined
  const cut = text.length > limit ? `${text.slice(0, limit)}…` : text
  return cut.toWellFormed().replace(actingCharacters, escapedCharacter)
}
