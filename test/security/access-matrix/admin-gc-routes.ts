import { digestOf } from '../../../src/storage/digest.ts'
import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { commitText } from '../../support/records.ts'
import { type AdminRoute, admins, way } from './admin-route.ts'

/** It tells of the repositories of all tenants, and what it deletes is nobody's any more. */
export const gcRoutes: readonly AdminRoute[] = [
  way('GET', '/api/v1/gc', admins),
  way('POST', '/api/v1/gc/runs', admins, { status: 201, prepare: () => ({ body: {} }) }),
  way('GET', '/api/v1/gc/explanations/:digest', admins, {
    prepare: async ({ world: { metadata }, mark }) => {
      await commitText(metadata, parseRepositoryName('acme/explained'), mark, Date.now())
      return { parameters: { digest: digestOf(Buffer.from(mark)) } }
    },
  }),
  way('PUT', '/api/v1/gc/pause', admins, { prepare: () => ({ body: {} }) }),
  way('DELETE', '/api/v1/gc/pause', admins, { status: 204 }),
]
