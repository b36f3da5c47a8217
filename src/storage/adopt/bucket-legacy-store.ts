import { DomainError } from '../../errors.ts'
import type { Abortable } from '../abortable.ts'
import { adoptedObjectKey } from '../objects/keys.ts'
import type { ObjectStore } from '../objects/object-store.ts'
import { legacyPaths } from './legacy-layout.ts'
import type {
  LegacyBody,
  LegacyEntry,
  LegacyStore,
  ListLegacyOptions,
  ReadLegacyOptions,
} from './legacy-store.ts'

/** A bucket that can say what is in it, whoever has put it there. */
export interface NamedObjects extends Pick<ObjectStore, 'get'> {
  /** By whole names, in byte order. */
  listNames(
    prefix: string,
    options?: Abortable,
  ): AsyncIterable<{ readonly name: string; readonly size: number; readonly changedAt: Date }>
}

/** The bucket of a registry with distribution's S3 driver. */
export class BucketLegacyStore implements LegacyStore {
  readonly name: string
  /** What all its paths begin with in the bucket. */
  readonly prefix: string
  readonly #objects: NamedObjects

  private constructor(name: string, prefix: string, objects: NamedObjects) {
    this.name = name
    this.prefix = prefix
    this.#objects = objects
  }

  /**
   * @param name for people. @param directory the `rootdirectory` of the old configuration, or the `docker/registry/v2`
   * in it; empty for the whole bucket.
   * @throws DomainError `not_found` when there is no registry in it, `unavailable`.
   */
  static async open(
    objects: NamedObjects,
    { name, directory }: { readonly name: string; readonly directory: string },
    options?: Abortable,
  ): Promise<BucketLegacyStore> {
    const start = directory.replace(/^\/+|\/+$/g, '').replace(/.$/, '$&/')
    for (const below of [legacyPaths.root, '']) {
      const prefix = start + below
      for await (const _ of objects.listNames(prefix + legacyPaths.repositories, options))
        return new BucketLegacyStore(name, prefix, objects)
    }
    throw new DomainError(
      'not_found',
      `There is no registry in ${name}: nothing begins with ${start}${legacyPaths.root}${legacyPaths.repositories} or ${start}${legacyPaths.repositories}; name the rootdirectory of its configuration.`,
      { resource: 'registry', name },
    )
  }

  async *list(directory: string, { signal }: ListLegacyOptions = {}): AsyncGenerator<LegacyEntry> {
    for await (const { name, size, changedAt } of this.#objects.listNames(this.prefix + directory, {
      signal,
    }))
      yield { kind: 'file', path: name.slice(this.prefix.length), size, changedAt }
  }

  async read(path: string, { limit, signal }: ReadLegacyOptions): Promise<Uint8Array> {
    const { size, stream } = await this.open(path, { signal })
    if (size > limit) {
      stream.destroy()
      throw new DomainError('too_large', `The object ${path} has ${size} bytes; at most ${limit} are read.`, {
        resource: 'object',
        name: path,
      })
    }
    return Buffer.concat(await Array.fromAsync(stream as AsyncIterable<Uint8Array>))
  }

  async open(path: string, options?: Abortable): Promise<LegacyBody> {
    const key = adoptedObjectKey(this.prefix + path)
    if (key !== undefined) return await this.#objects.get(key, options)
    throw new DomainError('invalid', `${JSON.stringify(path)} is not read: no registry has such a name.`, {
      resource: 'object',
      name: path,
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
