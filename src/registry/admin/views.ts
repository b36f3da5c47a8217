import * as z from 'zod'
import { actions, roles } from '../../storage/accounts/roles.ts'

/**
 * What administration answers, as JSON has it. Dates are RFC 3339, in UTC. What a schema does not name is never
 * answered, so no hash and no secret gets out by being part of a record.
 */

const moment = z.iso.datetime()
const visibility = z.enum(['private', 'public'])
const action = z.enum(actions)

export const tenantView = z.object({
  name: z.string(),
  description: z.string(),
  visibility,
  quotaBytes: z.int().nullable(),
  quotaRepositories: z.int().nullable(),
  trustPolicy: z.string().nullable(),
  createdAt: moment,
})
export type TenantView = z.output<typeof tenantView>

export const memberView = z.object({ account: z.string(), role: z.enum(roles), since: moment })
export type MemberView = z.output<typeof memberView>

export const grantView = z.object({
  id: z.string(),
  tenant: z.string(),
  subject: z.string(),
  pattern: z.string(),
  actions: z.array(action),
  createdAt: moment,
})
export type GrantView = z.output<typeof grantView>

export const repositoryView = z.object({
  name: z.string(),
  tenant: z.string(),
  /** Its own, or else the tenant's. */
  visibility,
  isOwn: z.boolean(),
})
export type RepositoryView = z.output<typeof repositoryView>

export const accountView = z.object({
  name: z.string(),
  kind: z.enum(['user', 'robot']),
  tenant: z.string().nullable(),
  isAdmin: z.boolean(),
  isDisabled: z.boolean(),
  description: z.string(),
  createdAt: moment,
  expiresAt: moment.nullable(),
  lastUsedAt: moment.nullable(),
})
export type AccountView = z.output<typeof accountView>

const scopes = z.array(z.object({ pattern: z.string(), actions: z.array(action) })).nullable()

export const credentialView = z.object({
  id: z.string(),
  account: z.string(),
  description: z.string(),
  scopes,
  createdAt: moment,
  expiresAt: moment.nullable(),
  lastUsedAt: moment.nullable(),
  revokedAt: moment.nullable(),
})
export type CredentialView = z.output<typeof credentialView>

/** `password` is there when it was made for the user: it is told this once. */
export const newUserView = z.object({ account: accountView, password: z.string().nullable() })
export const passwordView = z.object({ password: z.string().nullable() })
/** `token` is told this once. */
export const newRobotView = z.object({ account: accountView, credential: credentialView, token: z.string() })
export const newTokenView = z.object({ credential: credentialView, token: z.string() })

export const ruleView = z.object({
  id: z.string(),
  tenant: z.string(),
  repositories: z.string(),
  tags: z.string(),
  createdAt: moment,
})
export type RuleView = z.output<typeof ruleView>

export const usageView = z.object({
  bytes: z.int(),
  uploadingBytes: z.int(),
  repositories: z.int(),
  quotaBytes: z.int().nullable(),
  quotaRepositories: z.int().nullable(),
})
export type UsageView = z.output<typeof usageView>

export const keyView = z.object({ id: z.string(), createdAt: moment })
export type KeyView = z.output<typeof keyView>

export const decisionView = z.object({ isAllowed: z.boolean(), rule: z.string() })

export const callerView = z.object({
  account: z.string(),
  isAdmin: z.boolean(),
  credential: z.string(),
  scopes,
  memberships: z.array(z.object({ tenant: z.string(), role: z.enum(roles) })),
})

export const auditView = z.object({
  id: z.int(),
  at: moment,
  account: z.string().optional(),
  claimed: z.string().optional(),
  credential: z.string().optional(),
  operation: z.string(),
  target: z.string().optional(),
  reference: z.string().optional(),
  outcome: z.enum(['allowed', 'denied', 'failed']),
  rule: z.string().optional(),
  status: z.int().optional(),
  address: z.string(),
  userAgent: z.string(),
  requestId: z.string(),
})
export type AuditView = z.output<typeof auditView>

/** A page of a listing, and where the next one begins. */
export interface Listing<View> {
  readonly items: readonly View[]
  /** `last` of the next page; null: there is none. */
  readonly next: string | null
}

export function listingOf<View extends z.ZodType>(view: View) {
  return z.object({ items: z.array(view), next: z.string().nullable() })
}

/** A record as its view has it: without everything that the view does not name. */
export function viewOf<View extends z.ZodType>(view: View, record: object): z.output<View> {
  return view.parse(JSON.parse(JSON.stringify(record)))
}
