import { open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { errnoOf } from '../../errors.ts'
import { makeDirectories } from '../../storage/make-directories.ts'
import { convertFsFailure } from '../chain/fs-errors.ts'
import { chainOfManifest, type ImageManifest } from './image-manifest.ts'
import { type ImageUuid, isImageUuid } from './image-uuid.ts'

const suffix = '.json'

/**
 * imgadm's own records of installed images: `images/POOL-UUID.json`, a JSON object of `manifest`, `zpool` and, for what it
 * has downloaded, `source`. What is installed is told by the datasets alone: a record without one is passed over, and a dataset
 * without a record is listed by its UUID only. But one record that is no JSON makes every command of imgadm fail, so they
 * come whole, by a rename.
 *
 * Whoever writes the record of an image holds the image's lock.
 */
export class ImgadmDatabase {
  readonly #images: string

  /** @param directory imgadm's own, such as `/var/imgadm`; made when it is not there. */
  constructor(directory: string) {
    this.#images = join(directory, 'images')
  }

  /** Durable when it resolves; replaces what is there. @throws DomainError `denied`, `no_space`, `unavailable`. */
  async put(pool: string, manifest: ImageManifest): Promise<void> {
    const path = this.#pathOf(pool, manifest.uuid)
    const text = `${JSON.stringify({ manifest, zpool: pool }, undefined, 2)}\n`
    await asImage(path, async () => {
      if ((await textOf(path)) === text) return
      await makeDirectories(this.#images)
      const temporary = join(this.#images, `.${pool}-${manifest.uuid}.new`)
      await writeDurably(temporary, text)
      await rename(temporary, path)
      await this.#sync()
    })
  }

  /** Removes a record of ours. Absent is success, and one of imgadm's own stays. */
  async delete(pool: string, uuid: ImageUuid): Promise<void> {
    const path = this.#pathOf(pool, uuid)
    await asImage(path, async () => {
      if (!isOurs(await textOf(path))) return
      await rm(path, { force: true })
      await this.#sync()
    })
  }

  /** The images of a pool that there are records of ours for. */
  async list(pool: string): Promise<ImageUuid[]> {
    return await asImage(this.#images, async () => {
      const uuids = (await namesIn(this.#images))
        .filter(name => name.startsWith(`${pool}-`) && name.endsWith(suffix))
        .map(name => name.slice(pool.length + 1, -suffix.length))
        .filter(isImageUuid)
      const ours: ImageUuid[] = []
      for (const uuid of uuids) if (isOurs(await textOf(this.#pathOf(pool, uuid)))) ours.push(uuid)
      return ours
    })
  }

  #pathOf(pool: string, uuid: ImageUuid): string {
    return join(this.#images, `${pool}-${uuid}${suffix}`)
  }

  /** A rename is durable when its directory is. */
  async #sync(): Promise<void> {
    await using directory = await open(this.#images, 'r')
    await directory.sync()
  }
}

async function writeDurably(path: string, text: string): Promise<void> {
  await using file = await open(path, 'w', 0o644)
  await file.writeFile(text)
  await file.sync()
}

function isOurs(text: string | undefined): boolean {
  if (text === undefined) return false
  try {
    const record: unknown = JSON.parse(text)
    const manifest: unknown =
      typeof record === 'object' && record !== null && 'manifest' in record && record.manifest
    return chainOfManifest(manifest) !== undefined
  } catch {
    return false
  }
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return []
    throw error
  }
}

async function asImage<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw convertFsFailure(error, path, 'image')
  }
}
