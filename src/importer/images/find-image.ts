import { DomainError, isDomainError } from '../../errors.ts'
import { hexOf } from '../../storage/digest.ts'
import { formatImageName, parseImageName } from '../../storage/reference.ts'
import type { ImageRecord } from './image-catalog.ts'

/** A shorter piece of a digest is more likely a mistake than a choice. */
const minHexDigits = 6
const hexPiece = new RegExp(`^(?:sha256:)?([0-9a-f]{${minHexDigits},128})$`)

/**
 * The image that a person means: by name (as `parseImageName` reads it), by manifest digest, or by the beginning of
 * its hex digits. @throws DomainError `not_found`; `conflict` when the digits fit several.
 */
export function findImage(records: readonly ImageRecord[], wanted: string): ImageRecord {
  const name = fullNameOf(wanted)
  const named = records.find(
    ({ names, manifestDigest }) =>
      manifestDigest === wanted || names.includes(wanted) || (name !== undefined && names.includes(name)),
  )
  if (named !== undefined) return named

  const digits = hexPiece.exec(wanted)?.[1]
  const fitting =
    digits === undefined ? [] : records.filter(record => hexOf(record.manifestDigest).startsWith(digits))
  const [only] = fitting
  if (only !== undefined && fitting.length === 1) return only
  if (only !== undefined)
    throw new DomainError('conflict', `${wanted} fits ${fitting.length} images; give more digits.`, {
      resource: 'image',
      name: wanted,
    })
  throw new DomainError(
    'not_found',
    `The image ${wanted} has not been imported here; \`varve images\` lists what has, \`varve import ${wanted}\` imports it.`,
    { resource: 'image', name: wanted },
  )
}

function fullNameOf(wanted: string): string | undefined {
  try {
    return formatImageName(parseImageName(wanted))
  } catch (error) {
    if (isDomainError(error, 'invalid')) return undefined
    throw error
  }
}
