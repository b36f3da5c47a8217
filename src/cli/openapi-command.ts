import { Command } from 'commander'

/** `openapi`: the description of the HTTP interface, as /openapi.json has it. */
export function openApiCommand(): Command {
  return new Command('openapi')
    .description("print the OpenAPI description of the registry's HTTP interface")
    .action(async () => {
      const { openApiDocument } = await import('../registry/openapi/document.ts')
      process.stdout.write(`${JSON.stringify(openApiDocument(), undefined, 2)}\n`)
    })
}

/** `agent openapi`: the same of the agent. */
export function agentOpenApiCommand(): Command {
  return new Command('openapi')
    .description("print the OpenAPI description of the agent's HTTP interface")
    .action(async () => {
      const { agentDocument } = await import('../importer/agent/document.ts')
      process.stdout.write(`${JSON.stringify(agentDocument(), undefined, 2)}\n`)
    })
}
