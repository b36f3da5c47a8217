import { type IncomingMessage, request as plainRequest } from 'node:http'
import type { RequestOptions } from 'node:https'
import type * as z from 'zod'
import { DomainError, errnoOf, isAbort } from '../../../errors.ts'
import type { Abortable } from '../../../storage/abortable.ts'
import {
  type AdminInput,
  type Administration,
  type AdminOperation,
  type AdminOutput,
  adminOperations,
} from '../administration.ts'
import { checkInput } from '../check-input.ts'
import { type AdminEndpoint, hasBody, pathParametersOf } from '../operation.ts'
import { failureIn } from './failure.ts'

export interface HttpAdministrationOptions {
  /** Where the registry is, such as `https://registry.example.com`. */
  readonly url: URL
  /** The whole header `Authorization`. */
  readonly authorization: string
  /** PEM: authorities that sign for the registry, instead of the usual ones. */
  readonly ca?: string | undefined
  readonly userAgent: string
  /** How long an answer may take; 60,000 unless given. */
  readonly timeoutMs?: number | undefined
}

/** No answer is longer: 1000 entries, with all that can stand in them. Bytes. */
const maxAnswer = 32 * 1024 * 1024

/** Administration of a registry elsewhere. */
export class HttpAdministration implements Administration {
  readonly #options: HttpAdministrationOptions

  constructor(options: HttpAdministrationOptions) {
    this.#options = options
  }

  async call<Name extends AdminOperation>(
    operation: Name,
    input: AdminInput<Name>,
    { signal }: Abortable = {},
  ): Promise<AdminOutput<Name>> {
    signal?.throwIfAborted()
    // What is wrong with it is the same here as there, and a name with odd characters never gets into a path.
    checkInput(operation, input)
    const endpoint = adminOperations[operation]
    const { status, retryAfter, text } = await this.#send(endpoint, input, signal)
    if (status === 204 && endpoint.status === 204) return outputOf(operation, undefined)
    const body = jsonIn(text)
    if (status !== endpoint.status)
      throw failureIn(status, retryAfter, body, endpoint.resource) ?? this.#stranger(`it answered ${status}`)
    return outputOf(operation, body)
  }

  async #send(
    endpoint: AdminEndpoint,
    input: object,
    signal: AbortSignal | undefined,
  ): Promise<{ status: number; retryAfter: string | undefined; text: string }> {
    const { path, body } = requestOf(endpoint, input)
    const { url, authorization, ca, userAgent, timeoutMs = 60_000 } = this.#options
    const late = AbortSignal.timeout(timeoutMs)
    const options: RequestOptions = {
      method: endpoint.method,
      hostname: url.hostname.replace(/^\[|\]$/g, ''),
      ...(url.port === '' ? {} : { port: url.port }),
      path,
      agent: false,
      headers: {
        Authorization: authorization,
        'User-Agent': userAgent,
        Accept: 'application/json',
        ...(body === undefined
          ? {}
          : { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(body) }),
      },
      signal: signal === undefined ? late : AbortSignal.any([signal, late]),
      ...(ca === undefined ? {} : { ca }),
    }
    try {
      const send = url.protocol === 'https:' ? (await import('node:https')).request : plainRequest
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        send(options, resolve).on('error', reject).end(body)
      })
      return {
        status: response.statusCode ?? 0,
        retryAfter: response.headers['retry-after'],
        text: await textOf(response),
      }
    } catch (cause) {
      signal?.throwIfAborted()
      throw late.aborted || !(cause instanceof DomainError) ? this.#silent(cause, late.aborted) : cause
    }
  }

  #silent(cause: unknown, isLate: boolean): DomainError {
    const errno = errnoOf(cause)
    const isTrust = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|ERR_TLS/.test(errno ?? '')
    const why = isLate || isAbort(cause) ? 'in time' : `(${errno ?? 'the connection ended'})`
    return new DomainError(
      'unavailable',
      isTrust
        ? `The registry at ${this.#options.url.origin} cannot be trusted (${errno}); --ca-file names who signs for it.`
        : `The registry at ${this.#options.url.origin} does not answer ${why}.`,
      { resource: 'registry', name: this.#options.url.origin },
      { cause },
    )
  }

  #stranger(why: string): DomainError {
    return new DomainError(
      'unavailable',
      `What answers at ${this.#options.url.origin} is no registry of Varve that can be administered: ${why}.`,
      { resource: 'registry', name: this.#options.url.origin },
    )
  }
}

const outputs: { readonly [Name in AdminOperation]: { readonly output: z.ZodType<AdminOutput<Name>> } } =
  adminOperations

/** A newer registry may tell more, which is left out. */
function outputOf<Name extends AdminOperation>(operation: Name, body: unknown): AdminOutput<Name> {
  const { success, data } = outputs[operation].output.safeParse(body)
  if (success) return data
  throw new DomainError('unavailable', `The registry's answer to ${operation} is not what it should be.`, {
    resource: 'registry',
  })
}

/** What is undefined is not sent. */
function requestOf(endpoint: AdminEndpoint, input: object): { path: string; body: string | undefined } {
  const inPath = pathParametersOf(endpoint.path)
  const fields: Record<string, unknown> = { ...input }
  const path = endpoint.path.replace(/([*:])(\w+)/g, (_, kind: string, name: string) =>
    kind === '*'
      ? String(fields[name]).split('/').map(encodeURIComponent).join('/')
      : encodeURIComponent(String(fields[name])),
  )
  const rest = Object.entries(fields).filter(([name, value]) => !inPath.includes(name) && value !== undefined)
  if (hasBody(endpoint)) return { path, body: JSON.stringify(Object.fromEntries(rest)) }
  const query = new URLSearchParams(
    rest.map(([name, value]): [string, string] => [name, String(value)]),
  ).toString()
  return { path: query === '' ? path : `${path}?${query}`, body: undefined }
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxAnswer)
      throw new DomainError('too_large', `The registry's answer has more than ${maxAnswer} bytes.`, {
        resource: 'registry',
      })
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
