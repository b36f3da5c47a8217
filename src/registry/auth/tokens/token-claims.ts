import * as z from 'zod'
import { type AccountName, accountKindOf, type TenantName } from '../../../storage/accounts/names.ts'
import type { Action } from '../../../storage/accounts/roles.ts'
import type { CredentialScope } from '../../../storage/metadata/account-records.ts'
import type { Access } from '../access.ts'
import type { Subject } from '../policy.ts'
import { maxScopes, type ResourceScope } from './scope.ts'

/** What is said by an access token that is good. */
export interface TokenContent {
  /** Names it in logs. */
  readonly id: string
  /** Null: it was given to nobody in particular. */
  readonly account: AccountName | null
  readonly isAdmin: boolean
  /** Which rules allow what it is good for: as in {@link Decision.rule}, several separated by semicolons. */
  readonly rule: string
  readonly access: readonly ResourceScope[]
  /** Names of repositories that the account may push to, though this token is not good for that. */
  readonly pushable?: readonly string[] | undefined
  /** To whom it was given, with all that decides what they may do; only in a token for the catalog. */
  readonly subject?: Subject | undefined
}

const shortText = z.string().max(255)

/** The claim `access` (distribution, "Token Authentication Implementation"). Other services may name more than we do. */
const accessSchema = z
  .array(
    z.object({
      type: shortText,
      class: shortText.optional(),
      name: z.string().max(1024),
      actions: z.array(shortText).max(64),
    }),
  )
  .max(10 * maxScopes)
  .nullish()

/** Our own claim `varve`. What is not there is as it is with most: no administrator, no scopes, no memberships. */
const ownSchema = z.object({
  rule: z.string(),
  admin: z.literal(true).optional(),
  pushable: z.array(z.string()).optional(),
  /** That, and what follows, only in a token for the catalog. */
  credential: z.string().optional(),
  scopes: z
    .array(z.object({ pattern: z.string(), actions: z.array(z.enum(['pull', 'push', 'delete'])) }))
    .optional(),
  memberships: z
    .array(z.object({ tenant: z.string(), role: z.enum(['guest', 'developer', 'maintainer', 'owner']) }))
    .optional(),
})

const claimsSchema = z.object({
  sub: shortText.optional(),
  jti: shortText.optional(),
  access: accessSchema,
  varve: z.unknown().optional(),
})

/** The claims that are more than who signed it for whom, and for how long. */
export function claimsOf(content: Omit<TokenContent, 'id'>): Record<string, unknown> {
  return {
    sub: content.account ?? '',
    access: content.access.map(({ type, class: typeClass, name, actions }) => ({
      type,
      ...(typeClass === undefined ? {} : { class: typeClass }),
      name,
      actions,
    })),
    varve: ownClaimOf(content),
  }
}

function ownClaimOf({
  rule,
  isAdmin,
  pushable = [],
  subject,
}: Omit<TokenContent, 'id'>): z.input<typeof ownSchema> {
  return {
    rule,
    ...(isAdmin ? { admin: true } : {}),
    ...(pushable.length === 0 ? {} : { pushable: [...pushable] }),
    ...(subject === undefined ? {} : { credential: subject.credential }),
    ...(subject === undefined || subject.scopes === null ? {} : { scopes: subject.scopes.map(copyOf) }),
    ...(subject === undefined || subject.memberships.length === 0
      ? {}
      : { memberships: [...subject.memberships] }),
  }
}

function copyOf({ pattern, actions }: CredentialScope): { pattern: string; actions: Action[] } {
  return { pattern, actions: [...actions] }
}

/**
 * What verified claims say; undefined when they are not those of an access token.
 * @param isOwn whether we have signed them: our own claim counts only then.
 */
export function contentOf(payload: unknown, isOwn: boolean): TokenContent | undefined {
  const claims = claimsSchema.safeParse(payload)
  if (!claims.success) return undefined
  const { sub = '', jti = '', access, varve } = claims.data
  const account = sub === '' ? null : accountOf(sub)
  if (account === undefined) return undefined
  const content = { id: jti, account, access: access ?? [] }
  if (!isOwn) return { ...content, isAdmin: false, rule: 'another token service allows it' }
  const own = ownSchema.safeParse(varve)
  if (!own.success) return undefined
  const { rule, admin: isAdmin = false, pushable } = own.data
  return { ...content, isAdmin, rule, ...(pushable && { pushable }), ...subjectIn(account, own.data) }
}

/** Another service may call its accounts what is no name here; they then get a first part that nobody else's has. */
function accountOf(sub: string): AccountName | undefined {
  return [sub, `external/${sub}`].find((name): name is AccountName => accountKindOf(name) !== undefined)
}

function subjectIn(
  account: AccountName | null,
  { credential, admin, scopes, memberships }: z.output<typeof ownSchema>,
): Pick<TokenContent, 'subject'> {
  if (account === null || credential === undefined) return {}
  return {
    subject: {
      account,
      credential,
      isAdmin: admin === true,
      scopes: scopes ?? null,
      // It was a tenant's name when we signed it.
      memberships: (memberships ?? []).map(({ tenant, role }) => ({ tenant: tenant as TenantName, role })),
    },
  }
}

/** Whether the entries of a token allow this. `*` is every action. */
export function allows(entries: readonly ResourceScope[], access: Access): boolean {
  const [type, name, action] =
    access.kind === 'catalog' ? ['registry', 'catalog', '*'] : ['repository', access.name, access.action]
  return entries.some(
    entry =>
      entry.type === type &&
      entry.name === name &&
      (entry.actions.includes(action) || entry.actions.includes('*')),
  )
}
