import { type AgentDocument, openApiDocument } from './openapi.ts'
import { agentRoutes } from './routes.ts'

/** The description of all that the agent answers. */
export function agentDocument(): AgentDocument {
  return openApiDocument(agentRoutes)
}
