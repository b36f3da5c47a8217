import { randomUUID } from 'node:crypto'
import type { BigIntStats } from 'node:fs'
import { open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import pLimit from 'p-limit'
import * as z from 'zod'
import { DomainError, errnoOf } from '../../errors.ts'
import { parseChainId } from '../../storage/chain-id.ts'
import { type Digest, hexOf, parseDiffId, parseDigest } from '../../storage/digest.ts'
import type { ImageCatalog, ImageRecord, WholeImageRecord } from './image-catalog.ts'

const schema = z.strictObject({
  version: z.literal(1),
  names: z.array(z.string()),
  manifestDigest: z.string().transform(parseDigest),
  configDigest: z.string().transform(parseDigest),
  platform: z.strictObject({ os: z.string(), architecture: z.string(), variant: z.string().optional() }),
  layers: z.array(
    z.strictObject({
      chainId: z.string().transform(parseChainId),
      diffId: z.string().transform(parseDiffId),
      blob: z.string().transform(parseDigest),
      size: z.int().nonnegative(),
    }),
  ),
  config: z.string(),
  importedAt: z.iso.datetime().transform(text => new Date(text)),
})

const unfinishedSuffix = '.new'
/** Writing a record takes milliseconds; nobody is still at one that is so old. */
const abandonedAfterMs = 60 * 60 * 1000

/** Records that are read at once: a process may open only so many files. */
const openFiles = 32
/** Bytes. Larger ones, of images with an uncommonly large config, are read one at a time: all at once would fill the memory. */
const largeFrom = 512 * 1024

/**
 * One JSON document per image, named by the hex of its manifest's digest. Documents are replaced whole by rename, so
 * a crash leaves the old one or the new one.
 */
export class DirectoryImageCatalog implements ImageCatalog {
  readonly #directory: string
  /** By file: what it was when it was read, but for its config. Looking is much less work than reading. */
  readonly #known = new Map<string, KnownRecord>()
  readonly #readingLarge = pLimit(1)
  readonly #onDamaged: (message: string) => void

  /**
   * A document that cannot be read as a record is passed over, so that one that was spoiled costs its own image and no
   * other; importing that image again replaces it.
   *
   * @param directory exists, and is private to this user.
   * @param options `onDamaged` is told once of each such document, in one sentence with the way out.
   */
  constructor(
    directory: string,
    { onDamaged = () => {} }: { readonly onDamaged?: (message: string) => void } = {},
  ) {
    this.#directory = directory
    this.#onDamaged = onDamaged
  }

  async put(record: WholeImageRecord): Promise<void> {
    const known = await this.list()
    const same = known.find(({ manifestDigest }) => manifestDigest === record.manifestDigest)
    // Asking again for what is there writes nothing, and so works in a full pool.
    if (same === undefined || record.names.some(name => !same.names.includes(name)))
      await this.#write({ ...record, names: [...new Set([...(same?.names ?? []), ...record.names])] })
    for (const other of known) {
      if (other.manifestDigest === record.manifestDigest) continue
      const names = other.names.filter(name => !record.names.includes(name))
      if (names.length < other.names.length) await this.#write({ ...(await this.whole(other)), names })
    }
  }

  async list(): Promise<ImageRecord[]> {
    const files = (await readdir(this.#directory)).filter(file => file.endsWith('.json'))
    const present = new Set(files)
    for (const file of this.#known.keys()) if (!present.has(file)) this.#known.delete(file)
    const records = await pLimit(openFiles).map(files, file => this.#recordIn(file))
    return records
      .filter(record => record !== undefined)
      .sort((a, b) => compare(a.names[0] ?? a.manifestDigest, b.names[0] ?? b.manifestDigest))
  }

  async whole({ manifestDigest }: ImageRecord): Promise<WholeImageRecord> {
    const text = await unlessGone(readFile(this.#pathOf(manifestDigest), 'utf8'))
    const record = text === undefined ? undefined : recordFrom(text)
    if (record !== undefined) return record
    throw new DomainError(
      'not_found',
      `The image ${manifestDigest} has just been removed here; import it again.`,
      { resource: 'image', name: manifestDigest },
    )
  }

  /** Removes what writers that were killed have left. Answers how many. */
  async sweep(): Promise<number> {
    const before = Date.now() - abandonedAfterMs
    let removed = 0
    for (const file of await readdir(this.#directory)) {
      if (!file.endsWith(unfinishedSuffix)) continue
      const path = join(this.#directory, file)
      const info = await stat(path).catch(() => undefined)
      if (info === undefined || info.mtimeMs > before) continue
      await rm(path, { force: true })
      removed += 1
    }
    return removed
  }

  async delete(manifestDigest: Digest): Promise<void> {
    await rm(this.#pathOf(manifestDigest), { force: true })
    await this.#sync()
  }

  #pathOf(manifestDigest: Digest): string {
    return join(this.#directory, `${hexOf(manifestDigest)}.json`)
  }

  async #write(record: WholeImageRecord): Promise<void> {
    const temporary = join(this.#directory, `${randomUUID()}${unfinishedSuffix}`)
    try {
      const file = await open(temporary, 'wx', 0o600)
      try {
        await file.writeFile(JSON.stringify({ version: 1, ...record }, undefined, 2))
        await file.sync()
      } finally {
        await file.close()
      }
      await rename(temporary, this.#pathOf(record.manifestDigest))
    } catch (cause) {
      await rm(temporary, { force: true })
      throw new DomainError(
        errnoOf(cause) === 'ENOSPC' || errnoOf(cause) === 'EDQUOT' ? 'no_space' : 'unavailable',
        `The record of image ${record.manifestDigest} cannot be written below ${this.#directory}: ${String(cause)}.`,
        { resource: 'image', name: record.manifestDigest },
        { cause },
      )
    }
    await this.#sync()
  }

  /** A rename is durable when its directory is. */
  async #sync(): Promise<void> {
    const directory = await open(this.#directory, 'r')
    try {
      await directory.sync()
    } finally {
      await directory.close()
    }
  }

  /** Undefined for a document that another process has just removed, and for one that is damaged. */
  async #recordIn(file: string): Promise<ImageRecord | undefined> {
    const path = join(this.#directory, file)
    // Looked at before it is read, so that what comes in between is read again.
    const found = await unlessGone(stat(path, { bigint: true }))
    if (found === undefined) return undefined
    const version = versionOf(found)
    const known = this.#known.get(file)
    if (known !== undefined && known.version === version) return known.record
    const read = (): Promise<ImageRecord | undefined> => this.#read(file, version)
    return await (found.size < largeFrom ? read() : this.#readingLarge(read))
  }

  async #read(file: string, version: string): Promise<ImageRecord | undefined> {
    const path = join(this.#directory, file)
    const text = await unlessGone(readFile(path, 'utf8'))
    if (text === undefined) return undefined
    const record = withoutConfig(recordFrom(text))
    if (record === undefined)
      this.#onDamaged(`The image record ${path} is damaged and passed over; import its image again.`)
    this.#known.set(file, { version, record })
    return record
  }
}

/** Undefined for what is no record. */
function recordFrom(text: string): WholeImageRecord | undefined {
  try {
    const { version: _, ...record } = schema.parse(JSON.parse(text))
    return record
  } catch {
    return undefined
  }
}

function withoutConfig(whole: WholeImageRecord | undefined): ImageRecord | undefined {
  if (whole === undefined) return undefined
  const { config: _, ...record } = whole
  return record
}

interface KnownRecord {
  readonly version: string
  /** Undefined: it is damaged. */
  readonly record: ImageRecord | undefined
}

/** Tells documents of one name apart: each is a file of its own, which is never written again. */
function versionOf({ ino, ctimeNs, size }: BigIntStats): string {
  return `${ino} ${ctimeNs} ${size}`
}

async function unlessGone<Value>(found: Promise<Value>): Promise<Value | undefined> {
  try {
    return await found
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
