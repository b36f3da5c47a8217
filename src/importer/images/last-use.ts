import { open, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type Digest, hexOf } from '../../storage/digest.ts'
import type { ImageRecord } from './image-catalog.ts'

const suffix = '.used'
/** How exact it is, and how often a marker is written at most. */
const resolutionMs = 60_000

/**
 * When images were last imported, cloned or published, to the minute: an empty file beside each image's record, whose
 * modification time it is. So it is one for all processes, survives a restart, and goes where the records go. The record
 * itself will not do: it is written anew when another image takes over one of its names, which is no use of it.
 *
 * Nothing waits for the disk: a crash of the machine may lose the last seconds of it.
 */
export class LastUse {
  readonly #directory: string
  readonly #now: () => number

  /**
   * @param directory of the records (`ChainStore.recordsDirectory`).
   * @param now milliseconds since 1970.
   */
  constructor(directory: string, now: () => number = Date.now) {
    this.#directory = directory
    this.#now = now
  }

  /** The image is used now. Never throws, for nobody is to go without a clone because a pool is full. */
  async touch(manifestDigest: Digest): Promise<void> {
    const path = this.#pathOf(manifestDigest)
    const now = this.#now()
    try {
      const marked = await markedAt(path)
      // One of the future, from before the clock was set back, would keep its image for as long as it was wrong.
      if (marked !== undefined && marked <= now && now - marked < resolutionMs) return
      await using file = await open(path, 'a', 0o600)
      await file.utimes(now / 1000, now / 1000)
    } catch {
      // The image then counts as unused since the time before.
    }
  }

  /** An image that was never touched was last used when it was imported. */
  async of({
    manifestDigest,
    importedAt,
  }: Pick<ImageRecord, 'manifestDigest' | 'importedAt'>): Promise<Date> {
    const marked = (await markedAt(this.#pathOf(manifestDigest))) ?? 0
    return new Date(Math.max(marked, importedAt.getTime()))
  }

  /** The image is gone. Never throws: a marker that stays means nothing. */
  async forget(manifestDigest: Digest): Promise<void> {
    await rm(this.#pathOf(manifestDigest), { force: true }).catch(() => undefined)
  }

  /** Removes the markers of all images but those that `records` has. Answers how many. */
  async forgetOthers(records: readonly Pick<ImageRecord, 'manifestDigest'>[]): Promise<number> {
    const kept = new Set(records.map(({ manifestDigest }) => `${hexOf(manifestDigest)}${suffix}`))
    const files = await readdir(this.#directory)
    const strays = files.filter(file => file.endsWith(suffix) && !kept.has(file))
    for (const file of strays) await rm(join(this.#directory, file), { force: true })
    return strays.length
  }

  #pathOf(manifestDigest: Digest): string {
    return join(this.#directory, `${hexOf(manifestDigest)}${suffix}`)
  }
}

/** Milliseconds since 1970; undefined when there is no marker, or none that can be read. */
async function markedAt(path: string): Promise<number | undefined> {
  return await stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => undefined,
  )
}
