import * as z from 'zod'
import { parseTenantName } from '../accounts/names.ts'
import { actions, roles } from '../accounts/roles.ts'
import type { Credential, CredentialScope, NewCredential, StoredCredential } from './account-records.ts'
import { dateOf } from './account-row.ts'
import type { CredentialRow } from './rows/accounts.ts'
import { assertStorable } from './storable-text.ts'

/** @throws DomainError `invalid`. */
export function newRow(credential: NewCredential, now: number): CredentialRow {
  const { id, description = '', scopes = null, memberships = [] } = credential
  const { expiresAt = null, stamp = null, parent = null } = credential
  assertStorable({ resource: 'credential', name: id }, id, description, stamp, parent)
  return {
    id,
    kind: credential.kind,
    account: credential.account,
    secret_digest: credential.secretDigest,
    description,
    scopes: scopes === null ? null : JSON.stringify(scopes),
    memberships: JSON.stringify(memberships),
    stamp,
    parent,
    created_at: now,
    expires_at: expiresAt?.getTime() ?? null,
    last_used_at: null,
    revoked_at: null,
  }
}

/** Without what only those may see who compare it with a secret. */
export function toCredential(row: CredentialRow): Credential {
  return {
    id: row.id,
    kind: row.kind,
    account: row.account,
    description: row.description,
    scopes: row.scopes === null ? null : parseScopes(row.scopes),
    createdAt: new Date(row.created_at),
    expiresAt: dateOf(row.expires_at),
    lastUsedAt: dateOf(row.last_used_at),
    revokedAt: dateOf(row.revoked_at),
  }
}

export function toStoredCredential(row: CredentialRow): StoredCredential {
  return {
    ...toCredential(row),
    secretDigest: row.secret_digest,
    stamp: row.stamp,
    parent: row.parent,
    memberships: membershipsSchema.parse(JSON.parse(row.memberships)),
  }
}

const scopesSchema = z.array(z.object({ pattern: z.string(), actions: z.array(z.enum(actions)) }))

const membershipsSchema = z.array(
  z.object({ tenant: z.string().transform(parseTenantName), role: z.enum(roles) }),
)

function parseScopes(text: string): CredentialScope[] {
  return scopesSchema.parse(JSON.parse(text))
}
