import { randomBytes } from 'node:crypto'
import { DomainError } from '../../errors.ts'
import type { MirrorJobName, MirrorRunId } from '../../storage/metadata/mirror-records.ts'

/** As `src/mirror-job.ts` has it. */
const namePattern = /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/
const runPattern = /^[0-9]{8}T[0-9]{6}-[0-9a-f]{12}$/

/** @throws DomainError `invalid`. */
export function parseMirrorJobName(text: string): MirrorJobName {
  if (namePattern.test(text)) return text as MirrorJobName
  throw new DomainError(
    'invalid',
    `${JSON.stringify(text.slice(0, 64))} is no name of a mirror job; it has up to 64 lower-case letters and digits, and . _ - between them.`,
    { resource: 'mirror', name: text.slice(0, 64) },
  )
}

/** @throws DomainError `invalid`. */
export function parseMirrorRunId(text: string): MirrorRunId {
  if (runPattern.test(text)) return text as MirrorRunId
  throw new DomainError(
    'invalid',
    `${JSON.stringify(text.slice(0, 64))} is no run of a mirror job; varve mirror status lists them.`,
    { resource: 'mirror', name: text.slice(0, 64) },
  )
}

/** Of a run that begins now. Its own: the time in it is for people. */
export function newMirrorRunId(at: Date): MirrorRunId {
  const time = at.toISOString().replace(/[-:]|\.\d+Z$/g, '')
  return parseMirrorRunId(`${time}-${randomBytes(6).toString('hex')}`)
}
