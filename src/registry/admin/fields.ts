import * as z from 'zod'
import { DomainError } from '../../errors.ts'
import { accountKindOf, parseAccountName, parseTenantName } from '../../storage/accounts/names.ts'
import { actions, roles } from '../../storage/accounts/roles.ts'
import { parseDigest } from '../../storage/digest.ts'
import { parseRepositoryName, parseTag } from '../../storage/reference.ts'

/** Fields of what administration is asked for. Names are checked by their own parsers, which say what is wrong. */

export const tenantField = z.string().max(1024).transform(parseTenantName).describe('Name of a tenant.')
export const accountField = z
  .string()
  .max(1024)
  .transform(parseAccountName)
  .describe('Account: a user (alice), a robot (acme+ci), or one of an OpenID provider (github/octo).')
export const userField = z.string().max(1024).transform(parseUserName).describe('Name of a user.')
export const repositoryField = z
  .string()
  .max(1024)
  .transform(parseRepositoryName)
  .describe('Whole name of a repository.')
export const tagField = z.string().max(1024).transform(parseTag).describe('A tag.')
export const digestField = z.string().max(256).transform(parseDigest).describe('sha256:… or sha512:…')
export const roleField = z.enum(roles)
export const actionField = z.enum(actions)
export const actionsField = z
  .array(actionField)
  .min(1)
  .max(actions.length)
  .transform(given => actions.filter(action => given.includes(action)))
export const visibilityField = z.enum(['private', 'public'])

export const descriptionField = z
  .string()
  .max(512)
  .regex(/^\P{Cc}*$/u, 'a line of text')
  .describe('A line of text.')

export const patternField = z
  .string()
  .max(255)
  .regex(/^[a-z0-9._*/-]+$/, 'lower-case letters, digits and . _ - / *')
  .describe(
    'Pattern for the whole name of a repository: `*` is any part of a segment, `**` any part of the name.',
  )

export const tagPatternField = z
  .string()
  .max(128)
  .regex(/^[A-Za-z0-9_.*-]+$/, 'what a tag may have, and *')
  .describe('Pattern for tags: `*` is any part.')

export const bytesField = z.int().min(0).nullable().describe('Bytes; null: no limit.')
export const countField = z.int().min(0).nullable().describe('A number; null: no limit.')

/** A moment in time. Null, where it is allowed: never. */
export const momentField = z.iso.datetime({ offset: true }).transform(text => new Date(text))

/** Of a query, where everything is text. */
export const numberInQuery = z
  .union([z.int().min(0), z.string().regex(/^\d{1,15}$/, 'a whole number')])
  .transform(Number)
export const momentInQuery = momentField
export const flagInQuery = z
  .union([z.boolean(), z.enum(['true', 'false'])])
  .transform(given => given === true || given === 'true')

export const scopesField = z
  .array(z.strictObject({ pattern: patternField, actions: actionsField }))
  .min(1)
  .max(100)
  .nullable()
  .describe('What it may do at most; null: all that its account may.')

/** @throws DomainError `invalid`. */
function parseUserName(text: string) {
  if (accountKindOf(text) !== 'user')
    throw new DomainError(
      'invalid',
      `${JSON.stringify(text.slice(0, 255))} is not a user's name; it is like alice or alice@example.com.`,
      { resource: 'account', name: text.slice(0, 255) },
    )
  return parseAccountName(text)
}
