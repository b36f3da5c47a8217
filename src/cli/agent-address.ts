import { readFileSync } from 'node:fs'
import type { Config } from '../config.ts'
import { DomainError } from '../errors.ts'
import type { AgentAddress } from '../importer/agent/client/agent-address.ts'

/** The agent at `url`, with what the files of `agent` say. @throws DomainError `invalid`. */
export function agentAddressOf(url: string, agent: Config['agent']): AgentAddress {
  return {
    url,
    token: tokenIn(contentOf('agent.tokenFile', agent.tokenFile)),
    ca: contentOf('agent.caFile', agent.caFile),
    certificate: contentOf('agent.certificateFile', agent.certificateFile),
    key: contentOf('agent.keyFile', agent.keyFile),
  }
}

/** The agent's own file of tokens can be used: it is the first one. */
function tokenIn(text: string | undefined): string | undefined {
  return text
    ?.split('\n')
    .map(line => line.trim())
    .find(line => line !== '' && !line.startsWith('#'))
}

function contentOf(key: string, file: string | undefined): string | undefined {
  if (file === undefined) return undefined
  try {
    return readFileSync(file, 'utf8')
  } catch (cause) {
    throw new DomainError(
      'invalid',
      `The file ${file} (${key}) cannot be read.`,
      { resource: 'config', name: file },
      { cause },
    )
  }
}
