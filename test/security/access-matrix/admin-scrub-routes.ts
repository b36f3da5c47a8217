import { type AdminRoute, admins, way } from './admin-route.ts'

/** It tells of the repositories of all tenants, and reads all that is stored. */
export const scrubRoutes: readonly AdminRoute[] = [
  way('GET', '/api/v1/scrub', admins),
  way('POST', '/api/v1/scrub/runs', admins, { status: 201, prepare: () => ({ body: {} }) }),
  way('GET', '/api/v1/scrub/faults', admins),
  way('GET', '/api/v1/scrub/strays', admins),
]
