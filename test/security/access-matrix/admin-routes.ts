import { backupRoutes } from './admin-backup-routes.ts'
import { gcRoutes } from './admin-gc-routes.ts'
import { historyRoutes } from './admin-history-routes.ts'
import { mirrorRoutes } from './admin-mirror-routes.ts'
import { wholeRepositoryRoutes } from './admin-repository-routes.ts'
import { retentionRoutes } from './admin-retention-routes.ts'
import type { AdminRoute } from './admin-route.ts'
import { scrubRoutes } from './admin-scrub-routes.ts'
import { tenantRoutes } from './admin-tenant-routes.ts'
import { apiTokenRoutes, upkeepRoutes } from './admin-token-routes.ts'
import { userRoutes } from './admin-user-routes.ts'

/** Every operation of administration, in every way in which it makes a difference who asks. */
export const adminRoutes: readonly AdminRoute[] = [
  ...userRoutes,
  ...tenantRoutes,
  ...apiTokenRoutes,
  ...upkeepRoutes,
  ...mirrorRoutes,
  ...gcRoutes,
  ...historyRoutes,
  ...wholeRepositoryRoutes,
  ...backupRoutes,
  ...retentionRoutes,
  ...scrubRoutes,
]
