import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

/** What a registry was asked, and what it has sent. */
export interface Asked {
  readonly requests: number
  /** `HEAD manifests`, `GET blobs`, …: how often. */
  readonly kinds: ReadonlyMap<string, number>
  /** Of the bodies that it sent. */
  readonly bytes: number
}

/** As docker-registry writes it, in the combined format; its other lines look otherwise. */
const line = /"([A-Z]+) (\/v2\/\S*) HTTP\/1\.1" \d{3} (\d+)/g

/** What the access log of a registry says; between two looks at it. */
export class AccessLog {
  readonly #path: string
  #read = 0

  /** @param directory of a contender. */
  constructor(directory: string) {
    this.#path = join(directory, 'access.log')
  }

  /** Since the last time. */
  async take(): Promise<Asked> {
    const log = await readFile(this.#path)
    const text = log.subarray(this.#read).toString('latin1')
    this.#read = log.length
    const kinds = new Map<string, number>()
    let requests = 0
    let bytes = 0
    for (const [, method = '', path = '', size = '0'] of text.matchAll(line)) {
      const kind = `${method} ${kindOf(path)}`
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1)
      requests += 1
      bytes += method === 'HEAD' ? 0 : Number(size)
    }
    return { requests, kinds, bytes }
  }
}

function kindOf(path: string): string {
  if (path === '/v2/') return path
  return /\/(manifests|blobs\/uploads|blobs|tags|referrers|_catalog)(?:\/|\?|$)/.exec(path)?.[1] ?? 'other'
}

export function formatKinds({ kinds }: Asked): string {
  return [...kinds].map(([kind, count]) => `${count} ${kind}`).join(', ')
}
