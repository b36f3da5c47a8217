import type { ServerResponse } from 'node:http'
import type { Digest } from '../../src/storage/digest.ts'
import type { Answers } from './counted-upstream.ts'

const pieceBytes = 256 * 1024

/** One blob of an upstream, of which every byte that is sent is counted, and the rest of which can be held back. */
export interface GatedBlob {
  readonly answers: Answers
  /** Bytes of bodies. */
  sentBytes(): number
  /** Times that any of it was asked for. */
  asked(): number
  /** Resolves when all has been sent that may be. */
  readonly reached: Promise<void>
  readonly open: () => void
}

/** @param heldFrom position of the first byte that is not sent before `open()`. */
export function gatedBlob(digest: Digest, bytes: Buffer, heldFrom = bytes.length): GatedBlob {
  const reached = Promise.withResolvers<void>()
  const opened = Promise.withResolvers<void>()
  let sent = 0
  let asked = 0
  const send = async (response: ServerResponse, first: number): Promise<void> => {
    for (let at = first; at < bytes.length && !response.destroyed; at += pieceBytes) {
      if (at >= heldFrom) {
        reached.resolve()
        await opened.promise
      }
      const piece = bytes.subarray(at, at + pieceBytes)
      sent += piece.length
      // Called with a failure, too, when the connection is cut.
      await new Promise<void>(resolve => response.write(piece, () => resolve()))
    }
    response.end()
  }
  const answers: Answers = async ({ method, url = '', headers }, response) => {
    if (method !== 'GET' || !url.includes(`/blobs/${digest}`)) return false
    asked += 1
    const [, from] = /^bytes=(\d+)-/.exec(headers.range ?? '') ?? []
    const first = Number(from ?? 0)
    const range =
      from === undefined ? {} : { 'content-range': `bytes ${first}-${bytes.length - 1}/${bytes.length}` }
    response.writeHead(from === undefined ? 200 : 206, {
      'content-type': 'application/octet-stream',
      'content-length': bytes.length - first,
      'docker-content-digest': digest,
      ...range,
    })
    await send(response, first)
    return true
  }
  return {
    answers,
    sentBytes: () => sent,
    asked: () => asked,
    reached: reached.promise,
    open: opened.resolve,
  }
}
