import type { Operation, TokenOperation } from '../endpoints.ts'

/**
 * What of an operation is kept when it was allowed; what was denied always is.
 *
 * `change`: it changes content; `session`: only an upload that nobody sees yet; `pull`: that of content; `read`: anything
 * else; `login`: somebody shows who they are; `administration`: a change of who may do what, which is kept before it is
 * acknowledged.
 */
export type AuditKind = 'change' | 'session' | 'pull' | 'read' | 'login' | 'administration'

const kinds: Readonly<Record<Operation | TokenOperation | 'login.start' | 'login.finish', AuditKind>> = {
  live: 'read',
  ready: 'read',
  openapi: 'read',
  base: 'read',
  catalog: 'read',
  extensions: 'read',
  'repository.extensions': 'read',
  'tags.list': 'read',
  referrers: 'read',
  // Also the whole of a push, when the blob comes with it or is mounted: see the status.
  'upload.start': 'change',
  'upload.status': 'read',
  'upload.append': 'session',
  'upload.finish': 'change',
  'upload.cancel': 'session',
  'blob.get': 'pull',
  'blob.head': 'read',
  'blob.delete': 'change',
  'manifest.get': 'pull',
  'manifest.head': 'read',
  'manifest.put': 'change',
  'manifest.delete': 'change',
  'token.get': 'login',
  'token.post': 'login',
  'login.start': 'read',
  'login.finish': 'login',
  jwks: 'read',
}

/** @param method of the request: what is not in the table administers, and reading changes nothing. */
export function auditKindOf(operation: string, method: string): AuditKind {
  const known: Readonly<Partial<Record<string, AuditKind>>> = kinds
  return known[operation] ?? (method === 'GET' || method === 'HEAD' ? 'read' : 'administration')
}
