import { DomainError, type ErrorDetails } from '../../errors.ts'

/**
 * PostgreSQL's text has no NUL (postgresql.org/docs/current/datatype-character.html), so nothing with one is ever
 * stored; but clients may ask for it.
 */
export function isStorable(text: string): boolean {
  return !text.includes('\0')
}

/** What comes after `text` in byte order is, of storable text, what comes after this. */
export function storablePrefix(text: string): string {
  const end = text.indexOf('\0')
  return end < 0 ? text : text.slice(0, end)
}

/** For text that callers choose and that is stored as it is. @throws DomainError `invalid`. */
export function assertStorable(
  { resource, name }: Required<Pick<ErrorDetails, 'resource' | 'name'>>,
  ...texts: readonly (string | null | undefined)[]
): void {
  if (texts.every(text => typeof text !== 'string' || isStorable(text))) return
  throw new DomainError('invalid', `A text of the ${resource} ${name} has a NUL character in it.`, {
    resource,
    name,
  })
}
