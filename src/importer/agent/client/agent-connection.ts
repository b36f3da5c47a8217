import { type IncomingMessage, request as plainRequest } from 'node:http'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { DomainError, errnoOf, isAbort } from '../../../errors.ts'
import { closedToOthers } from '../agent-socket.ts'
import { fromWire, isWireError } from '../wire.ts'
import { type AgentAddress, nameOf, requestOptionsOf } from './agent-address.ts'

export interface AgentCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly path: string
  readonly query?: Readonly<Record<string, string | undefined>> | undefined
  readonly body?: unknown
  readonly signal?: AbortSignal | undefined
}

/**
 * Speaks to one agent, and turns its failures into ours. There are no time limits: an import is silent while a large layer
 * ends, and the agent's death closes the connection.
 */
export class AgentConnection {
  readonly name: string
  readonly #address: AgentAddress

  constructor(address: AgentAddress) {
    this.#address = address
    this.name = nameOf(address)
  }

  /** What is answered with 200 or 202. @throws DomainError of the agent, `unavailable` when it does not answer. */
  async call(call: AgentCall): Promise<unknown> {
    const body = await this.#bodyOf(await this.#open(call))
    try {
      return JSON.parse(body) as unknown
    } catch (cause) {
      throw this.#stranger(cause)
    }
  }

  /**
   * The records of an answer that is a stream, the last of which may have been cut off and is left out then.
   * @throws as {@link call}; a stream that breaks off just ends.
   */
  async *records(call: AgentCall): AsyncGenerator<object, void, undefined> {
    const response = await this.#open(call)
    try {
      for await (const line of createInterface({ input: response })) {
        const record = recordIn(line)
        // The half line that a dying agent sends last.
        if (record === undefined) return
        yield record
      }
    } catch (error) {
      call.signal?.throwIfAborted()
      if (errnoOf(error) !== 'ECONNRESET') throw error
    } finally {
      response.destroy()
    }
  }

  async #open(call: AgentCall): Promise<IncomingMessage> {
    const response = await this.#send(call)
    if (response.statusCode !== 200 && response.statusCode !== 202) throw await this.#failureIn(response)
    return response
  }

  async #failureIn(response: IncomingMessage): Promise<Error> {
    const body = await this.#bodyOf(response)
    try {
      const json: unknown = JSON.parse(body)
      if (isWireError(json)) return fromWire(json)
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error
    }
    return this.#stranger(new Error(`it answered ${response.statusCode}: ${body.slice(0, 200)}`))
  }

  async #bodyOf(response: IncomingMessage): Promise<string> {
    try {
      return await text(response)
    } catch (error) {
      throw isAbort(error) ? error : this.#silent(error)
    }
  }

  async #send({ method, path, query = {}, body, signal }: AgentCall): Promise<IncomingMessage> {
    const { secure, ...options } = requestOptionsOf(this.#address)
    // Loading TLS takes a socket's client, which most are, as long as its whole request.
    const request = secure ? (await import('node:https')).request : plainRequest
    return await new Promise((resolve, reject) => {
      const sending = request(
        {
          ...options,
          method,
          path: path + searchOf(query),
          agent: false,
          ...(signal === undefined ? {} : { signal }),
        },
        resolve,
      )
      sending.on('error', error => reject(isAbort(error) ? error : this.#silent(error)))
      sending.end(body === undefined ? undefined : JSON.stringify(body))
    })
  }

  #stranger(cause: unknown): DomainError {
    return new DomainError(
      'unavailable',
      `What answers at ${this.name} is not an agent of Varve; name another one with ${this.#flag}.`,
      { resource: 'config', name: this.name },
      { cause },
    )
  }

  #silent(cause: unknown): DomainError {
    if (errnoOf(cause) === 'EACCES' && 'socket' in this.#address) return closedToOthers(this.name, cause)
    return new DomainError(
      'unavailable',
      `The agent at ${this.name} ${problemOf(cause)}`,
      { resource: 'config', name: this.name },
      { cause },
    )
  }

  get #flag(): string {
    return 'socket' in this.#address ? '--socket' : '--agent'
  }
}

/** By the names that Node gives to what OpenSSL says: `nodejs.org/api/tls.html`, "X509 certificate error codes". */
function problemOf(error: unknown): string {
  const errno = errnoOf(error) ?? ''
  // An alert is the agent's word about us.
  if (/ALERT.*CERT/.test(errno))
    return 'wants a certificate that it knows; agent.certificateFile and agent.keyFile name it.'
  if (/CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_TLS/.test(errno))
    return `cannot be trusted (${error instanceof Error ? error.message : errno}); agent.caFile names who signs for it.`
  const why = errno === '' || errno === 'ENOENT' || errno === 'ECONNREFUSED' ? '' : ` (${errno})`
  return `does not answer${why}; \`varve agent\` starts one.`
}

function searchOf(query: Readonly<Record<string, string | undefined>>): string {
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`
}

function recordIn(line: string): object | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? value : undefined
  } catch (error) {
    if (error instanceof SyntaxError) return undefined
    throw error
  }
}
