import { createHash, randomFillSync } from 'node:crypto'
import { Readable } from 'node:stream'
import { Agent, request } from 'undici'

/** Bytes that go out at once. */
const chunkBytes = 256 * 1024

export interface UploadLoad {
  readonly url: string
  readonly uploads: number
  /** Bytes of each, a multiple of 256 KiB. */
  readonly bytes: number
  /** Deletes each blob once it is there. */
  readonly deletes?: boolean | undefined
}

/**
 * Pushes many blobs at once, half of them streamed without a length. Each is the same noise with its own first bytes,
 * so that hashing here costs little and no two have the same digest. @throws Error when one of them fails.
 */
export async function pushMany({ url, uploads, bytes, deletes = false }: UploadLoad): Promise<void> {
  const noise = randomFillSync(Buffer.alloc(chunkBytes))
  const dispatcher = new Agent({ connections: uploads, headersTimeout: 0, bodyTimeout: 0 })
  try {
    await Promise.all(Array.from({ length: uploads }, (_, index) => push(index)))
  } finally {
    await dispatcher.close()
  }

  async function push(index: number): Promise<void> {
    const send = async (method: 'POST' | 'PATCH' | 'PUT' | 'DELETE', path: string, body?: Readable) => {
      const headers: Record<string, string> = {}
      if (body === undefined) headers['content-length'] = '0'
      else if (index % 2 === 0) headers['content-length'] = String(bytes)
      const answer = await request(new URL(path, url), { method, headers, body: body ?? null, dispatcher })
      const text = await answer.body.text()
      if (answer.statusCode >= 300) throw new Error(`upload ${index}: ${method} ${answer.statusCode} ${text}`)
      return String(answer.headers['location'])
    }
    const repository = `load/${index}`
    const hash = createHash('sha256')
    const location = await send('POST', `/v2/${repository}/blobs/uploads/`)
    const patched = await send('PATCH', location, Readable.from(chunks(index, hash), { objectMode: false }))
    const digest = `sha256:${hash.digest('hex')}`
    const blob = await send('PUT', `${patched}&digest=${digest}`)
    if (deletes) await send('DELETE', blob)
  }

  function* chunks(index: number, hash: ReturnType<typeof createHash>): Generator<Buffer> {
    const first = Buffer.from(noise)
    first.writeUInt32BE(index)
    for (let sent = 0; sent < bytes; sent += chunkBytes) {
      const chunk = sent === 0 ? first : noise
      hash.update(chunk)
      yield chunk
    }
  }
}
