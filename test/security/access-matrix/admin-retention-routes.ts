import { parseRepositoryName } from '../../../src/storage/reference.ts'
import { looseManifest } from '../../support/records.ts'
import { type AdminRoute, admins, here, maintainers, members, tenant, way } from './admin-route.ts'

/** Of nothing that any other row of the matrix looks at. */
const policy = { repositories: ['acme/unused'], rules: [{ keepNewest: 10 }] }

/** Which tags go by themselves. */
export const retentionRoutes: readonly AdminRoute[] = [
  way('GET', '/api/v1/tenants/:tenant/retention', members, { prepare: () => here() }),
  way('POST', '/api/v1/tenants/:tenant/retention', maintainers, {
    status: 201,
    prepare: () => here({ policy }),
  }),
  way('DELETE', '/api/v1/tenants/:tenant/retention/:policy', maintainers, {
    status: 204,
    prepare: async ({ world: { metadata } }) => {
      const { id } = await metadata.addRetentionPolicy({ tenant, rules: JSON.stringify(policy) })
      return here(undefined, { policy: id })
    },
  }),
  way('GET', '/api/v1/repositories/*repository/retention', members, {
    prepare: () => ({ parameters: { repository: 'acme/unused' } }),
  }),
  way('GET', '/api/v1/retention', admins),
  way('POST', '/api/v1/retention/runs', admins, { status: 201, prepare: () => ({ body: {} }) }),
  way('PUT', '/api/v1/repositories/*repository/tags/:tag/expiry', maintainers, {
    prepare: async ({ world: { metadata }, mark }) => {
      const tag = `t${mark}`
      await metadata.putManifest(parseRepositoryName('acme/expiring'), looseManifest(mark, tag))
      return {
        parameters: { repository: 'acme/expiring', tag },
        body: { expiresAt: '2100-01-01T00:00:00Z' },
      }
    },
  }),
]
