import { once } from 'node:events'
import { get, type IncomingMessage, type OutgoingHttpHeaders, request } from 'node:http'
import { createDigester } from '../../src/storage/digest.ts'
import { proxiedName } from './proxied-registry.ts'

export interface Pulled {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly bytes: Buffer
  /** Whether all announced bytes came. */
  readonly isComplete: boolean
}

/** Begins to pull on a connection of its own; the body is to be read. */
export async function beginPull(
  url: string,
  digest: string,
  headers: OutgoingHttpHeaders = {},
): Promise<IncomingMessage> {
  const asked = get(`${url}/v2/${proxiedName}/blobs/${digest}`, { agent: false, headers })
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  answer.on('error', () => {})
  return answer
}

export async function headBlob(url: string, digest: string): Promise<IncomingMessage> {
  const asked = request(`${url}/v2/${proxiedName}/blobs/${digest}`, { agent: false, method: 'HEAD' })
  asked.end()
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  answer.resume()
  return answer
}

/** Digest of all that comes to the end; undefined when it breaks off. Nothing is kept of it. */
export async function digestOfRest(answer: IncomingMessage): Promise<string | undefined> {
  const digester = createDigester('sha256')
  answer.on('data', (chunk: Buffer) => digester.update(chunk))
  answer.resume()
  await closed(answer)
  return answer.complete ? digester.digest() : undefined
}

/** All that comes, however it ends. */
export async function restOf(answer: IncomingMessage): Promise<Pulled> {
  const chunks: Buffer[] = []
  answer.on('data', (chunk: Buffer) => chunks.push(chunk))
  answer.resume()
  await closed(answer)
  return {
    status: answer.statusCode ?? 0,
    headers: answer.headers,
    bytes: Buffer.concat(chunks),
    isComplete: answer.complete,
  }
}

export async function pull(url: string, digest: string, headers?: OutgoingHttpHeaders): Promise<Pulled> {
  return await restOf(await beginPull(url, digest, headers))
}

/** Also when it breaks off. */
async function closed(answer: IncomingMessage): Promise<void> {
  if (!answer.closed) await new Promise(resolve => answer.once('close', resolve))
}
