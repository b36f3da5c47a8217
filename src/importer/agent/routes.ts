import type { AgentRoute } from './route.ts'
import { cloneRoutes } from './routes/clones.ts'
import { imageRoutes } from './routes/images.ts'
import { importRoutes } from './routes/imports.ts'
import { statusRoutes } from './routes/status.ts'
import { upkeepRoutes } from './routes/upkeep.ts'

/** Everything that the agent answers: what it serves, and what its OpenAPI document describes. */
export const agentRoutes: readonly AgentRoute[] = [
  ...statusRoutes,
  ...importRoutes,
  ...imageRoutes,
  ...cloneRoutes,
  ...upkeepRoutes,
]
