import type { Readable } from 'node:stream'

/** What a handler answers: plain data, which respond.ts alone turns into HTTP. */
export interface Reply {
  readonly status: number
  readonly headers?: Headers | undefined
  /** Absent: an answer without a body. */
  readonly content?: Content | undefined
}

export type Headers = Readonly<Record<string, string>>

/** `type` goes out as it stands: never with a charset, which some clients compare. */
export type Content =
  | { readonly type: string; readonly bytes: Uint8Array }
  /** Without a length the connection, or its encoding, shows the end. */
  | { readonly type: string; readonly length?: number; readonly stream: Readable }
  /** For HEAD: the headers of the body that GET would send. */
  | { readonly type: string; readonly length: number }

export function json(status: number, value: unknown, headers: Headers = {}): Reply {
  return {
    status,
    headers,
    content: { type: 'application/json', bytes: Buffer.from(JSON.stringify(value)) },
  }
}
